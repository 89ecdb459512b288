import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Properties;

// SQL through the JDBC driver of SQLite: InJava FILE [read_only]; see in_node.cjs for what it says.
class InJava {
  static String run(Connection db, String sql) throws SQLException {
    try (Statement statement = db.createStatement()) {
      if (!statement.execute(sql)) return "";
      try (ResultSet rows = statement.getResultSet()) {
        return rows.next() ? rows.getString(1) : "";
      }
    }
  }

  static void say(String word, String text) {
    System.out.println(word + " " + String.valueOf(text).split("\n")[0]);
    System.out.flush();
  }

  public static void main(String[] arguments) throws Exception {
    Properties options = new Properties();
    options.setProperty("busy_timeout", "5000");
    if (arguments.length > 1) options.setProperty("open_mode", "1"); // SQLITE_OPEN_READONLY
    try (Connection db = DriverManager.getConnection("jdbc:sqlite:" + arguments[0], options)) {
      say("ok", run(db, "SELECT sqlite_version()"));
      BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
      for (String sql = lines.readLine(); sql != null; sql = lines.readLine()) {
        try {
          say("ok", run(db, sql));
        } catch (SQLException error) {
          say("error", error.getMessage());
        }
      }
    } catch (SQLException error) {
      say("error", error.getMessage());
    }
  }
}
