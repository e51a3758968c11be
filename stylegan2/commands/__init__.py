"""What the command line runs on a StyleGAN2 generator: one function a command."""
