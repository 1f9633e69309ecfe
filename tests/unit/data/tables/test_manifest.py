"""Manifests as CSV and Parquet: what is understood, and what is refused with line and column."""

import pytest
from helpers.tables import write_table

from kdzoo.data.tables.manifest import read_csv, read_parquet
from kdzoo.errors import DatasetError, MissingDependencyError

FULL = "path,label,split,mask,category,defect_type\n"


@pytest.fixture
def table(tmp_path):
    def write(text, encoding="utf-8"):
        (tmp_path / "lids.csv").write_bytes(text.encode(encoding))
        return read_csv(tmp_path / "lids.csv")

    return write


def facts(table):
    return [(row.image, row.defect_type, row.split, row.mask, row.category) for row in table.rows]


def test_all_columns(table):
    read = table(FULL + "a.png,0,train,,Lid,\nb.png,1,test,m/b.png,Lid,scratch\nc.png,good,val,,Lid,good\n")
    assert facts(read) == [
        ("a.png", "good", "train", None, "Lid"),
        ("b.png", "scratch", "test", "m/b.png", "Lid"),
        ("c.png", "good", "validation", None, "Lid"),
    ]
    assert read.has_split and read.notes == ()


@pytest.mark.parametrize("heading", ["path,label", "filename;label", "Image\tLABEL", "file , label"])
def test_two_columns_are_enough_whatever_parts_them(table, heading):
    mark = next(mark for mark in ";\t," if mark in heading)
    read = table(f"{heading}\na.png{mark}OK\n\nb.png{mark}NG\n", "utf-8-sig")
    assert facts(read) == [("a.png", "good", None, None, None), ("b.png", "defect", None, None, None)]
    assert not read.has_split


@pytest.mark.parametrize("word", ["0", "good", "Normal", "ok", "FALSE", "0.0"])
def test_words_for_normal(table, word):
    assert table(f"path,label\na.png,{word}\n").rows[0].defect_type == "good"


@pytest.mark.parametrize("word", ["1", "defect", "Anomaly", "ng", "TRUE", "1.0", "bad"])
def test_words_for_defective(table, word):
    assert table(f"path,label\na.png,{word}\n").rows[0].defect_type == "defect"


def test_other_columns_are_named(table):
    assert table("path,label,camera,shift\na.png,0,2,late\n").notes == ("columns that are not read: camera, shift",)


@pytest.mark.parametrize(
    ("row", "cell", "words"),
    [
        ("b.png,2,test,,lid,", "label", "'2' is unknown"),
        ("b.png,,test,,lid,", "label", "'' is unknown"),
        ("b.png,scratch,test,,lid,", "label", "'scratch' is unknown"),
        ("b.png,0,dev,,lid,", "split", "'dev' is unknown"),
        ("b.png,0,,,lid,", "split", "'' is unknown"),
        ("b.png,0,train,m.png,lid,", "mask", "a normal image has a mask"),
        ("b.png,0,train,,lid,scratch", "defect_type", "'scratch' on an image whose label is '0'"),
        ("b.png,1,test,,lid,good", "defect_type", "is the word for a normal image"),
        ("b.png,1,test,,lid,a\tb", "defect_type", "is no name of a kind"),
        ("b.png,1,test,,,x", "category", "is empty"),
    ],
)
def test_a_cell_that_is_wrong(table, row, cell, words):
    with pytest.raises(DatasetError) as caught:
        table(FULL + "a.png,0,train,,lid,\n\n" + row + "\n")
    assert f"lids.csv, line 4, {cell}: " in str(caught.value) and words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1: no column for the paths"),
        ("name,label\na,0\n", "line 1: no column for the paths"),
        ("path,image,label\na,b,0\n", "line 1: columns path, image for the paths"),
        ("path,label,label\na,0,0\n", "line 1, label: there are two columns"),
        ("path,mask\na,b\n", "line 1: there is no column 'label'"),
        ("path,label,defct_type\na,0,\n", "line 1, defct_type: unknown column; did you mean 'defect_type'"),
        ("path,label\na.png,0\nb.png\n", "line 3: 1 cells where the heading has 2"),
        ('path,label\na.png,0\n"b.png,0\n', "line 3: unexpected end of data"),
    ],
)
def test_a_table_that_is_wrong(table, text, words):
    with pytest.raises(DatasetError) as caught:
        table(text)
    assert words in str(caught.value)


def test_other_encodings_and_no_file(table, tmp_path):
    with pytest.raises(DatasetError, match="is not UTF-8"):
        table("path,label\nü.png,0\n", "latin-1")
    with pytest.raises(DatasetError, match="cannot read"):
        read_csv(tmp_path / "nowhere.csv")


class TestParquet:
    @pytest.fixture
    def write(self, tmp_path):
        pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")

        def write(**columns):
            parquet.write_table(pyarrow.table(columns), tmp_path / "lids.parquet")
            return tmp_path / "lids.parquet"

        return write

    def test_texts_numbers_and_booleans(self, write):
        images = ["a.png", "b.png"]
        for labels in ([0, 1], [False, True], [0.0, 1.0], ["good", "bad"]):
            read = read_parquet(write(path=images, label=labels, mask=[None, "m.png"], extra=[[1], [2]]))
            assert facts(read) == [("a.png", "good", None, None, None), ("b.png", "defect", None, "m.png", None)]
            assert read.notes == ("columns that are not read: extra",)

    def test_it_says_what_a_csv_says(self, write, tmp_path):
        rows = [{"path": "a.png", "label": "0", "split": "train"}, {"path": "b.png", "label": "1", "split": "test"}]
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        assert facts(read_parquet(write(**columns))) == facts(read_csv(write_table(tmp_path / "lids.csv", rows)))

    def test_a_cell_that_is_wrong(self, write):
        with pytest.raises(DatasetError, match=r"lids\.parquet, row 2, label: '7' is unknown"):
            read_parquet(write(path=["a.png", "b.png"], label=[0, 7]))
        with pytest.raises(DatasetError, match=r"lids\.parquet, row 1, label: '' is unknown"):
            read_parquet(write(path=["a.png", "b.png"], label=[float("nan"), 1.0]))

    def test_a_file_that_is_none(self, tmp_path):
        pytest.importorskip("pyarrow")
        (tmp_path / "lids.parquet").write_bytes(b"PAR1 and no more")
        with pytest.raises(DatasetError, match=r"cannot read .*lids\.parquet"):
            read_parquet(tmp_path / "lids.parquet")

    def test_without_pyarrow(self, tmp_path, monkeypatch):
        import sys

        monkeypatch.setitem(sys.modules, "pyarrow", None)
        with pytest.raises(MissingDependencyError, match="needs pyarrow") as caught:
            read_parquet(tmp_path / "lids.parquet")
        assert "pip install pyarrow" in caught.value.hint
