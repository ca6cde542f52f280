"""From a run folder to tables, figures and one page. Never imports torch or ray; reads the ledger and nothing else.

``run`` and ``folder`` read, ``terminal`` prints, ``table`` gives a data frame, ``figures`` every figure by name.
``drawing`` computes and draws figures, ``pages`` writes ``report.html``. Each imports what it needs (rich, pandas,
plotly), so that ``import reports`` costs nothing.
"""
