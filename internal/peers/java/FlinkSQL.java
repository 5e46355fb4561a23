import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.table.api.TableResult;
import org.apache.flink.types.Row;
import org.apache.flink.util.CloseableIterator;

/**
 * Runs a file of SQL statements, which end with a semicolon at the end of a line, in one JVM without a cluster, and prints the rows of each
 * query: the kind of the change, a tab, then the fields with tabs between them. A line "-- done" follows each query.
 */
public final class FlinkSQL {
	public static void main(String[] args) throws Exception {
		TableEnvironment env = TableEnvironment.create(EnvironmentSettings.newInstance().inStreamingMode().build());
		env.getConfig().set("parallelism.default", "1");
		env.getConfig().set("table.local-time-zone", "UTC");
		StringBuilder statement = new StringBuilder();
		for (String line : Files.readAllLines(Path.of(args[0]), StandardCharsets.UTF_8)) {
			statement.append(line).append('\n');
			if (!line.endsWith(";")) {
				continue;
			}
			String sql = statement.toString().strip();
			sql = sql.substring(0, sql.length() - 1);
			statement.setLength(0);
			TableResult result = env.executeSql(sql);
			if (!sql.regionMatches(true, 0, "select", 0, 6)) {
				continue;
			}
			try (CloseableIterator<Row> rows = result.collect()) {
				while (rows.hasNext()) {
					Row row = rows.next();
					StringBuilder out = new StringBuilder(row.getKind().shortString());
					for (int i = 0; i < row.getArity(); i++) {
						out.append('\t').append(row.getField(i) == null ? "\\N" : row.getField(i).toString());
					}
					System.out.println(out);
				}
			}
			System.out.println("-- done");
		}
	}
}
