"""Writes the ensembles that come with the package, and the tables that say how good they are.

Command line: ``python -m lib.experiments.export_ensembles``.
"""

from lib import published
from lib.experiments import published_ensembles
from lib.study import staleness
from lib.study.config import repository_root
from lib.study.report import publish_tables
from lib.study.run import default_store, run_experiment


def main() -> None:
    """Write the files, measure them and publish the tables."""
    config = published_ensembles.Config.create(run_folder="runs/full/results")
    root = repository_root()
    for name in config.assays:
        made = published_ensembles.source(name, config, default_store())
        path = published_ensembles.path_of(name)
        published.write(published_ensembles.ensemble(name, made), path)
        print(f"wrote {path.relative_to(root)}, {path.stat().st_size:,} bytes")
    run_experiment(published_ensembles, config)
    publish_tables(config.folder, root / "results", config.experiment)
    staleness.record_files(root, config.experiment)


if __name__ == "__main__":
    main()
