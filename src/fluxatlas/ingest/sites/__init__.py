"""Sites: readers of tower and chamber files, quality control, and the one site table that comes out.

One module per layout (:mod:`fluxnet`, :mod:`chambers`, :mod:`cosore`, :mod:`voigt`, :mod:`stdfmt`, ...), each with one
``read(files, entry, rules, ledger) -> list[SiteRecord]``; :mod:`table` assembles them; :mod:`inputs` names the files.
"""
