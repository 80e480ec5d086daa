#!/usr/bin/env bash
# python-calamine: total_height and total_width of a sheet are one less than the rows and columns that it gives.
#
# A sheet whose last filled cell is C7 has seven rows and three columns for to_python(skip_empty_area=False), but
# total_height says 6 and total_width 2: the index of the last row and column counted from zero, not their number.
# Who loops to total_height loses the last row. Seen with python-calamine 0.9.1. Exits non-zero when this changes.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet python-calamine==0.9.1 openpyxl==3.1.5
cd "$folder"
venv/bin/python - <<'PY'
import openpyxl
import python_calamine

book = openpyxl.Workbook()
for row in range(3, 8):
    for column in (2, 3):
        book.active.cell(row=row, column=column, value=row)
book.save("sheet.xlsx")
sheet = python_calamine.CalamineWorkbook.from_path("sheet.xlsx").get_sheet_by_index(0)
rows = sheet.to_python(skip_empty_area=False)
print("total", sheet.total_height, sheet.total_width, "given", len(rows), len(rows[0]))
assert (len(rows), len(rows[0])) == (7, 3), "the rows have changed"
assert (sheet.total_height, sheet.total_width) == (6, 2), "the behaviour has changed"
PY
