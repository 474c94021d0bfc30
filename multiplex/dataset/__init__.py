"""Training data made of deliberations.

To read it, go the way of a prompt: `prompts` (with `rows`, `origins`, `asked_columns`) and `proposing` (with
`coverage`) bring it in, `privacy` masks it, `intake` leaves out near-duplicates (`similarity`) and puts it into
the work file (`store`), under names that tell of nobody (`naming`); `prospects` says what can come of a
protocol; `producing` deliberates on one and measures it (`material`), `deliberating` on all, `distributed` on many
machines (`crew`, `worker`).
`preferences` (with `ballots`) says what is preferred and why, `records` (with
`conditions`) makes rows of it; `assembling` gates (`quality`, `citations`, `refusals`), masks (`masking`),
thins and balances (`curation`) them, and splits them (`splitting`). `writing`, `manifest`, `card`,
`statistics` and `pictures` write the folder (columns: `schemas`; `provenance` gathers what manifest and card tell,
`published` leaves folders out of it, `summary` says what was left out and what is covered; licences and languages:
`hub_labels`);
`building` ties all of it together by a `plan`; `spending` counts what it took, `ctrl_c` lets it be interrupted.
What is done with a finished folder: `reading`, `checking` (with `row_checks` and `traces`), `audit` (its rows:
`pair_sources`, `pair_files`, `pair_texts`; its counts: `side_counts`, `label_counts`, `running`), `pushing`.
"""
