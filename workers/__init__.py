"""What RQ runs. Imports bot; bot never imports this package."""
