"""Many runs of training, and which of their configurations is best on videos held out of training."""
