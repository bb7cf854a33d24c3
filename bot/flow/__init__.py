"""The flow language: what a flow is, its guards, how its text is read. Pure; opens no file, asks no clock."""
