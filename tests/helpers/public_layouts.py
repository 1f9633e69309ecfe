"""Small copies of public data sets in their true layouts, traps included."""

from pathlib import Path

from helpers.layouts import HEIGHT, WIDTH, write_image, write_mask
from PIL import Image

VISA_HEADING = "object,split,label,image,mask"


def make_visa(root: Path, categories: tuple[str, ...] = ("candle", "pcb1"), *, train: int = 4, test: int = 3) -> Path:
    """VisA as its archive unpacks, with one image of each category that the table does not name."""
    rows = [VISA_HEADING]
    for category in categories:
        data = root / category / "Data"
        for number in range(train + test):
            write_image(data / "Images/Normal" / f"{number:04}.JPG")
            part = "train" if number < train else "test"
            rows.append(f"{category},{part},normal,{category}/Data/Images/Normal/{number:04}.JPG,")
        for number in range(test):
            write_image(data / "Images/Anomaly" / f"{number:03}.JPG")
            write_mask(data / "Masks/Anomaly" / f"{number:03}.png")
            paths = f"{category}/Data/Images/Anomaly/{number:03}.JPG,{category}/Data/Masks/Anomaly/{number:03}.png"
            rows.append(f"{category},test,anomaly,{paths}")
        write_image(data / "Images/Normal" / "9999.JPG")
    (root / "split_csv").mkdir()
    (root / "split_csv" / "1cls.csv").write_text("\r\n".join(rows) + "\r\n")
    return root


def make_mvtec3d(root: Path, categories: tuple[str, ...] = ("bagel", "cable_gland"), *, validation: int = 2) -> Path:
    """MVTec 3D-AD as its archive unpacks, point clouds and the black masks of normal images included."""
    for category in categories:
        folders = {"train/good": 4, "validation/good": validation, "test/good": 3, "test/hole": 3, "test/crack": 1}
        for folder, count in folders.items():
            for number in range(count):
                place = root / category / folder
                write_image(place / "rgb" / f"{number:03}.png")
                (place / "xyz").mkdir(exist_ok=True)
                (place / "xyz" / f"{number:03}.tiff").write_bytes(b"points")
                if folder == "test/good":
                    black_mask(place / "gt" / f"{number:03}.png")
                elif folder.startswith("test"):
                    write_mask(place / "gt" / f"{number:03}.png")
    return root


def make_ksdd2(root: Path, *, train: int = 6, train_defects: int = 3, test: int = 4, test_defects: int = 2) -> Path:
    """KolektorSDD2 as its archive unpacks, with the stray copy; the defective images come last."""
    for folder, normal, defective in (("train", train, train_defects), ("test", test, test_defects)):
        for number in range(normal + defective):
            stem = f"{(10000 if folder == 'train' else 20000) + number}"
            write_image(root / folder / f"{stem}.png")
            draw = black_mask if number < normal else one_pixel_mask
            draw(root / folder / f"{stem}_GT.png")
    write_image(root / "train" / "10001 (copy).png")
    one_pixel_mask(root / "train" / "10001_GT (copy).png")
    return root


ELPV_ROWS = {"0.0": 10, "0.3333333333333333": 2, "0.6666666666666666": 1, "1.0": 4}
"""Probability to cells of a kind in `make_elpv`: 8 of the 10 normal ones train."""


def make_elpv(root: Path, rows: dict[str, int] | None = None, *, kinds: tuple[str, ...] = ("mono", "poly")) -> Path:
    """ELPV as its wheel holds it: gray cells and the table; the cells of both kinds take turns."""
    lines = []
    for probability, count in (ELPV_ROWS if rows is None else rows).items():
        for _ in range(count):
            for kind in kinds:
                name = f"images/cell{len(lines) + 1:04}.png"
                (root / "images").mkdir(parents=True, exist_ok=True)
                Image.new("L", (WIDTH, HEIGHT), len(lines) + 1).save(root / name)
                lines.append(f"{name}  {probability:<19} {kind}")
    (root / "labels.csv").write_text("\n".join(lines) + "\n")
    return root


def make_dtd(root: Path, folders: int = 47) -> Path:
    """DTD as its archive unpacks; returns the folder of its images."""
    for number in range(folders):
        write_image(root / "images" / f"kind{number:02}" / f"kind{number:02}_0001.jpg")
    (root / "labels").mkdir(parents=True)
    (root / "imdb").mkdir()
    return root / "images"


def black_mask(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (12, 8)).save(path)
    return path


def one_pixel_mask(path: Path) -> Path:
    """A mask of one pixel, which a smaller copy of it would lose."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = Image.new("L", (12, 8))
    mask.putpixel((11, 7), 255)
    mask.save(path)
    return path
