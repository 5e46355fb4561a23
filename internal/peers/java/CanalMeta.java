import com.alibaba.fastjson2.JSONWriter;
import com.alibaba.otter.canal.common.utils.JsonUtils;
import com.alibaba.otter.canal.meta.FileMixedMetaManager;
import com.alibaba.otter.canal.protocol.ClientIdentity;
import com.alibaba.otter.canal.protocol.position.EntryPosition;
import com.alibaba.otter.canal.protocol.position.LogIdentity;
import com.alibaba.otter.canal.protocol.position.LogPosition;
import java.io.File;
import java.net.InetSocketAddress;
import java.nio.file.Files;

/** Writes the place of one client with Canal's own classes: DIR/example/meta.dat, and DIR/cursor as ZooKeeper would hold it. */
public final class CanalMeta {
	public static void main(String[] args) throws Exception {
		File dir = new File(args[0]);
		EntryPosition entry = new EntryPosition("binlog.000001", 1237L, 1700000000000L, 184L);
		entry.setGtid("da53341e-e611-11f1-833a-02fc00000001:1-4");
		LogPosition position = new LogPosition();
		position.setIdentity(new LogIdentity(InetSocketAddress.createUnresolved("db1", 3306), -1L));
		position.setPostion(entry);
		Files.write(new File(dir, "cursor").toPath(), JsonUtils.marshalToByte(position, JSONWriter.Feature.WriteClassName));
		FileMixedMetaManager manager = new FileMixedMetaManager();
		manager.setDataDir(args[0]);
		manager.setPeriod(100);
		manager.start();
		ClientIdentity client = new ClientIdentity("example", (short) 1001, "");
		manager.subscribe(client);
		manager.updateCursor(client, position);
		File file = new File(new File(dir, "example"), "meta.dat");
		for (int i = 0; i < 200 && !(file.exists() && new String(Files.readAllBytes(file.toPath())).contains("1237")); i++) {
			Thread.sleep(50);
		}
		manager.stop();
		System.exit(0);
	}
}
