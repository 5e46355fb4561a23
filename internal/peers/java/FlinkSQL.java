import java.io.PrintStream;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.stream.Collectors;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.table.api.TableResult;
import org.apache.flink.types.Row;
import org.apache.flink.util.CloseableIterator;

/**
 * Runs a file of SQL statements, which end with a semicolon at the end of a line, in one JVM without a cluster, and prints the rows of each
 * query: the kind of the change, a tab, then the fields with tabs between them. A line "-- done" follows each query. NULL is \N, bytes are
 * hexadecimal, dates and times have six digits behind the second and no zone (UTC), a row is its fields between parentheses, an array its
 * elements with commas between them. In text, tabs, line ends and backslashes have a backslash.
 */
public final class FlinkSQL {
	private static final DateTimeFormatter DATE_TIME = DateTimeFormatter.ofPattern("yyyy-MM-dd HH:mm:ss.SSSSSS");
	private static final DateTimeFormatter TIME = DateTimeFormatter.ofPattern("HH:mm:ss.SSSSSS");

	public static void main(String[] args) throws Exception {
		TableEnvironment env = TableEnvironment.create(EnvironmentSettings.newInstance().inStreamingMode().build());
		env.getConfig().set("parallelism.default", "1");
		env.getConfig().set("table.local-time-zone", "UTC");
		PrintStream print = new PrintStream(System.out, true, StandardCharsets.UTF_8);
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
						out.append('\t').append(text(row.getField(i)));
					}
					print.println(out);
				}
			}
			print.println("-- done");
		}
	}

	private static String text(Object v) {
		if (v == null) {
			return "\\N";
		} else if (v instanceof byte[] bytes) {
			return HexFormat.of().formatHex(bytes);
		} else if (v instanceof BigDecimal number) {
			return number.toPlainString();
		} else if (v instanceof LocalDateTime at) {
			return DATE_TIME.format(at);
		} else if (v instanceof Instant at) {
			return DATE_TIME.format(at.atOffset(ZoneOffset.UTC));
		} else if (v instanceof LocalTime at) {
			return TIME.format(at);
		} else if (v instanceof Object[] elements) {
			return Arrays.stream(elements).map(FlinkSQL::text).collect(Collectors.joining(","));
		} else if (v instanceof Row row) {
			StringBuilder out = new StringBuilder("(");
			for (int i = 0; i < row.getArity(); i++) {
				out.append(i > 0 ? "," : "").append(text(row.getField(i)));
			}
			return out.append(')').toString();
		}
		return v.toString().replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r");
	}
}
