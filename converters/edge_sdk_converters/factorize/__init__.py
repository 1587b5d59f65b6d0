"""Low-rank factorization: a layer's weights as the product of smaller ones.

`factorize.config` holds the plan and imports no Keras; `factorize.apply` runs it on a model.
"""
