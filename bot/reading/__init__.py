"""Reading: text, keys or speech -> Reading. Pure; the words are data in flows/words."""
