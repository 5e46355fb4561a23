// Package hdfs is a place for the files sink in Hadoop's file system.
//
//	at, err := hdfs.Open(ctx, "hdfs://nn1:8020/warehouse/shop", &hdfs.Config{User: "cdc"})
//	store, err := files.OpenRemote(ctx, at, spool)
//
// It is a files.Remote over github.com/colinmarc/hdfs, which speaks the NameNode's and the DataNodes' own protocols.
//
// # How
//
// Each file is written under a name that nobody else uses, closed, and then renamed. A file that a killed process was writing stays open for a minute, until its
// lease has ended; nothing waits for that, since such a file is never one that is needed: it has a temporary name, and the next start removes it.
//
// The library's Rename asks for replacing the target. The NameNode's call "rename" does not replace: it says false. The library
// lets nobody call it, so call.go reaches for the connection that it holds.
//
// A file counts when the NameNode has completed it, that is, when the DataNodes have its last block; as with every client of HDFS, they have it in memory then
// and on disk a little later (dfs.datanode.synconclose of the cluster makes that one).
package hdfs
