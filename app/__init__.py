"""Zhigu (智谷): the backend of a paid-use data alliance, from licence term to payout."""
