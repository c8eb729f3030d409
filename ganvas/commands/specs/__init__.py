"""Commands about specs: check, list, submit, train and evaluate them."""
