"""The benchmark: ``make bench``. Compares in one interleaved run; reports ratios and the machine's noise with them."""
