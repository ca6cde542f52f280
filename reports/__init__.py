"""From a run folder to tables, figures and one page. Never imports torch or ray; reads the ledger and nothing else.

``terminal`` prints, ``table`` gives a data frame, ``pareto`` draws, ``page`` writes ``report.html``. Each imports
what it needs (rich, pandas, plotly), so that ``import reports`` costs nothing.
"""
