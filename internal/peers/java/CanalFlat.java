import com.alibaba.fastjson2.JSON;
import com.alibaba.fastjson2.JSONWriter;
import com.alibaba.otter.canal.connector.core.producer.MQMessageUtils;
import com.alibaba.otter.canal.parse.driver.mysql.packets.server.ResultSetPacket;
import com.alibaba.otter.canal.parse.driver.mysql.packets.MysqlGTIDSet;
import com.alibaba.otter.canal.parse.inbound.EventTransactionBuffer;
import com.alibaba.otter.canal.parse.inbound.mysql.MysqlConnection;
import com.alibaba.otter.canal.parse.inbound.mysql.dbsync.LogEventConvert;
import com.alibaba.otter.canal.parse.inbound.mysql.dbsync.TableMetaCache;
import com.alibaba.otter.canal.parse.inbound.mysql.tsdb.MemoryTableMeta;
import com.alibaba.otter.canal.protocol.CanalEntry;
import com.alibaba.otter.canal.protocol.FlatMessage;
import com.alibaba.otter.canal.protocol.Message;
import com.taobao.tddl.dbsync.binlog.FileLogFetcher;
import com.taobao.tddl.dbsync.binlog.LogContext;
import com.taobao.tddl.dbsync.binlog.LogDecoder;
import com.taobao.tddl.dbsync.binlog.LogEvent;
import com.taobao.tddl.dbsync.binlog.LogPosition;
import java.io.File;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Reads a binlog file with Canal's own decoder and table history, and prints the flat messages that its Kafka producer sends, one a line.
 * Arguments: the file, the file to write, and gtidon for canal.instance.gtidon=true.
 */
public final class CanalFlat {
	/** Only the table history knows the tables. */
	private static final class NoServer extends MysqlConnection {
		@Override
		public ResultSetPacket query(String sql) throws IOException {
			throw new IOException("no server to ask: " + sql);
		}
	}

	public static void main(String[] args) throws Exception {
		File file = new File(args[0]);
		LogEventConvert convert = new LogEventConvert();
		MemoryTableMeta history = new MemoryTableMeta();
		history.init("golden");
		convert.setTableMetaCache(new TableMetaCache(new NoServer(), history));
		convert.setFilterQueryDml(true); // canal.instance.filter.query.dml: no messages of Rows_query events
		convert.start();
		ThreadPoolExecutor pool = new ThreadPoolExecutor(1, 1, 1, TimeUnit.MINUTES, new LinkedBlockingQueue<>());
		LogDecoder decoder = new LogDecoder(LogEvent.UNKNOWN_EVENT, LogEvent.ENUM_END_EVENT);
		LogContext context = new LogContext();
		context.setLogPosition(new LogPosition(file.getName(), 4));
		if (args.length > 2 && args[2].equals("gtidon")) {
			context.setGtidSet(MysqlGTIDSet.parse(""));
		}
		AtomicLong id = new AtomicLong();
		try (PrintStream out = new PrintStream(args[1], "UTF-8")) {
			// What a transaction is, and which entries there are, is for Canal's buffer to say.
			EventTransactionBuffer buffer = new EventTransactionBuffer(entries -> {
				Message message = new Message(id.incrementAndGet(), entries);
				MQMessageUtils.EntryRowData[] rows = MQMessageUtils.buildMessageData(message, pool);
				for (FlatMessage flat : MQMessageUtils.messageConverter(rows, message.getId())) {
					out.println(new String(JSON.toJSONBytes(flat, JSONWriter.Feature.WriteNulls), StandardCharsets.UTF_8));
				}
			});
			buffer.setBufferSize(1024);
			buffer.start();
			FileLogFetcher fetcher = new FileLogFetcher(1 << 20);
			fetcher.open(file);
			while (fetcher.fetch()) {
				LogEvent event = decoder.decode(fetcher, context);
				if (event == null) {
					continue;
				}
				try {
					CanalEntry.Entry entry = convert.parse(event, false);
					if (entry != null) {
						buffer.add(entry);
					}
				} catch (RuntimeException e) {
					Throwable cause = e;
					while (cause.getCause() != null) {
						cause = cause.getCause();
					}
					out.println("error " + event.getLogPos() + " " + String.valueOf(cause.getMessage()).replace('\n', ' '));
				}
			}
			fetcher.close();
			buffer.stop();
		}
		pool.shutdown();
	}
}
