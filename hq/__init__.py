"""The records system: what units read, who may see it, for how long, and what is written down about it.

Owns the pages, the records and the rules of policy 430. It knows the units only through `mqtt` and the plates
only through `plates`. Each sub-package is one Django app and owns one subject; its docstring says which.
"""

APPS = (
    "site",
    "log",
    "people",
    "records",
    "search",
    "hits",
    "lists",
    "retention",
    "evidence",
    "releases",
    "audits",
    "units",
    "public",
    "api",
    "mail",
)
