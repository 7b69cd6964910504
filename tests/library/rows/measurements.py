"""Rows of measurements that take a function or keep a state over batches: tested by name."""

FUNCTIONS = {
    "MinibatchCKA": {},
    "hessian_vector_product": {},
    "input_gradient": {},
    "standardize_neurons": {},
}
