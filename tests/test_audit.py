from lib.audit import main, slug


def test_names_of_folders_stay_inside():
    assert slug("../../etc/passwd") == "passwd"
    assert slug("=cmd|x.csv") == "cmd_x"
    assert slug("...") == "audit"


def test_without_a_table_one_line_says_what_to_name(capsys):
    assert main([]) == 1
    assert capsys.readouterr().err == "error: name a table: make audit PREDICTIONS=mine.csv\n"
