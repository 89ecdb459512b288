"""SQL through a library of Python: in_python.py sqlite3|gdal|qt FILE [read_only]; see in_node.cjs for what it says."""
import sys

BUSY_TIMEOUT = 5000  # ms


class Sqlite3:
    def __init__(self, file, read_only):
        import sqlite3
        import urllib.parse
        uri = "file:" + urllib.parse.quote(file) + ("?mode=ro" if read_only else "")
        self.connection = sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT / 1000, isolation_level=None)

    def run(self, sql):
        row = self.connection.execute(sql).fetchone()
        return row[0] if row else ""

    def close(self):
        self.connection.close()


class Gdal:
    def __init__(self, file, read_only):
        from osgeo import gdal
        gdal.UseExceptions()
        gdal.SetConfigOption("OGR_SQLITE_PRAGMA", f"busy_timeout={BUSY_TIMEOUT}")
        self.data = gdal.OpenEx(file, gdal.OF_VECTOR | (0 if read_only else gdal.OF_UPDATE))

    def run(self, sql):
        layer = self.data.ExecuteSQL(sql)
        if layer is None:
            return ""
        row = layer.GetNextFeature()
        value = row.GetField(0) if row and row.GetFieldCount() > 0 else ""
        row = None
        self.data.ReleaseResultSet(layer)
        return value

    def close(self):
        self.data = None


class Qt:
    def __init__(self, file, read_only):
        from PyQt5.QtSql import QSqlDatabase
        self.data = QSqlDatabase.addDatabase("QSQLITE")
        self.data.setConnectOptions(
            f"QSQLITE_BUSY_TIMEOUT={BUSY_TIMEOUT}" + (";QSQLITE_OPEN_READONLY" if read_only else ""))
        self.data.setDatabaseName(file)
        if not self.data.open():
            raise RuntimeError(self.data.lastError().text())

    def run(self, sql):
        query = self.data.exec_(sql)
        if query.lastError().isValid():
            raise RuntimeError(query.lastError().text())
        return query.value(0) if query.next() else ""

    def close(self):
        self.data.close()


def say(word, text):
    print(word, str(text).split("\n")[0], flush=True)


def main(name, file, mode=""):
    try:
        library = {"sqlite3": Sqlite3, "gdal": Gdal, "qt": Qt}[name](file, mode == "read_only")
        say("ok", library.run("SELECT sqlite_version()"))
    except Exception as error:
        say("error", error)
        return
    for line in sys.stdin:
        try:
            say("ok", library.run(line.strip()))
        except Exception as error:
            say("error", error)
    library.close()


main(*sys.argv[1:])
