"""A run's report: one page for people, `report.html`, made once, before the version is registered.

The page needs no server, no script and no network; what it shows is gathered in `facts`, put into words in `page`.
"""

REPORT = "report.html"
"""The file in a run's folder."""
