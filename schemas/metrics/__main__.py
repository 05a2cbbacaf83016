"""``python -m schemas.metrics`` prints ``deploy/metrics.md``."""

import sys

from schemas.metrics import CATALOGUE
from schemas.metrics.declaring import page

sys.stdout.write(page(CATALOGUE))
