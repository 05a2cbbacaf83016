"""What stands round the product: the local stack, the demo, what an operator installs. No room imports it."""
