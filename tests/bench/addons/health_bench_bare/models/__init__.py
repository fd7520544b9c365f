from . import bare, job
