"""What a verdict means in plain words, by claim and by how it fell; no number of a table.

In: a row of the published verdicts. Out: a sentence. The margins that sentences name are those of
``claims.yaml``, read as stated; another reading has none.
"""

CLOSE = "The interval crosses the margin, so more data could go either way."
MEANINGS = {
    "C1": {
        "supported": "All three kinds of network come close to what is possible, and beat a ridge "
        "on six-letter words.",
        "contradicted": "At least one network stays further from what is possible than claimed, or "
        "does not beat a ridge on six-letter words.",
    },
    "C2": {
        "supported": "A mild change of GC content costs next to nothing: error, coverage and std "
        "stay in their ranges.",
        "contradicted": "A mild change of GC content already moves error, coverage or std out of "
        "its range.",
    },
    "C3": {
        "supported": "Before a cell is rewired as far as the median of five mutant retinas, "
        "errors grow, std is far too small, and intervals lose coverage.",
        "contradicted": "At the strength of the median mutant retina at least one of the three "
        "has not happened: errors, std or coverage.",
    },
    "C4": {
        "supported": "Noise added at test alone ruins errors, std and coverage. Arithmetic says so "
        "of any forecast.",
        "contradicted": "Under strong noise, errors, std or coverage hold better than claimed.",
    },
    "C5": {
        "supported": "Networks that look calibrated on new draws of the training distribution lose "
        "their coverage under shift: the usual test does not show it.",
        "contradicted": "Either the usual test already shows a fault, or the loss under shift is "
        "smaller than claimed.",
    },
    "C6": {
        "supported": "Features made from motifs lower the error by as much as claimed.",
        "smaller": "Features made from motifs lower the error, by less than counts.",
        "contradicted": "With 8,000 elements to train on, features made from motifs do not lower "
        "the error; the contrasts with fewer stand further down.",
    },
    "C7": {
        "supported": "Features made from motifs lower the error under each of five genomic shifts.",
        "contradicted": "Under at least one of five genomic shifts, features made from motifs "
        "lower the error by less than counts, or not at all.",
        "none": "With 8,000 elements to train on, there is no genomic shift of five under which "
        "features made from motifs surely lower the error by as much as counts.",
    },
    "C8": {
        "supported": "Features help under genomic shifts, and under strong noise by less than half "
        "as much.",
        "gain under genomic shifts": "There is no gain under genomic shifts that noise could take "
        "away.",
        "none": "There is no sure gain under genomic shifts that noise could take away, and where "
        "noise dominates features help no less: the opposite of what is claimed.",
        "contradicted": "Features protect more under noise than the claim allows, not less.",
    },
    "C9": {
        "supported": "Telling a network the GC content lowers its error, in and beyond the range "
        "of training, on both assays.",
        "contradicted": "On at least one assay, telling a network the GC content gains less than "
        "counts, or nothing.",
        "undecided": "If telling a network the GC content lowers its error, then by so little that "
        "the intervals cross the margin.",
    },
    "C10": {
        "supported": "The half that a network is surest of has clearly less squared error, in "
        "simulation and on both assays.",
        "contradicted": "On at least one data set the half that a network is surest of has hardly "
        "less squared error than all.",
        "undecided": "On at least one data set it cannot be told whether the half that a network "
        "is surest of has as much less squared error as counts.",
    },
    "C11": {
        "supported": "Under a shift of GC content, too, a threshold fixed before it keeps elements "
        "of clearly less squared error.",
        "contradicted": "Under at least one shift of GC content, what a threshold keeps has hardly "
        "less squared error than all.",
    },
    "C12": {
        "supported": "Where noise dominates, ranking by std gains less than it does elsewhere.",
        "contradicted": "Where noise dominates, ranking by std gains no less than elsewhere.",
    },
}


def is_smaller(row: dict[str, str]) -> bool:
    """Whether an effect is there beyond doubt, and beyond doubt smaller than claimed."""
    notes = f"{row.get('note', '')} {row.get('how', '')}"
    return row.get("verdict") == "contradicted" and "smaller than claimed" in notes


def meaning(row: dict[str, str]) -> str:
    """The sentence of a row as stated or by the first rule; empty where it has no verdict."""
    known = MEANINGS.get(row["id"], {})
    if row["reading"] == "strict" or "verdict" not in row:
        return ""
    if row["verdict"] == "undecided":
        return known.get("undecided", CLOSE)
    if row["verdict"] == "contradicted":
        if row["parts_passed"] == "0" and "none" in known:
            return known["none"]
        for name, sentence in known.items():
            if row["part"].startswith(name):
                return sentence
        if is_smaller(row) and "smaller" in known:
            return known["smaller"]
    return known.get(row["verdict"], "")
