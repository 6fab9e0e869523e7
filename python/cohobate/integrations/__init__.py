"""Steps for the pipelines of other programs, one module each. An import of `cohobate` loads none of them."""
