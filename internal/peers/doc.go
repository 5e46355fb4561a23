// Package peers provisions and runs the programs whose formats this one speaks: Debezium in Kafka Connect, Maxwell, Canal's decoder and
// serializer, and Flink's readers. It is for golden files and for tests; nothing of it goes into the product.
//
// All come from Maven Central by their coordinates (jars.go) through testbed.Jars and run on a Java runtime, 17 or later. The few lines of Java
// that are unavoidable stand in java/ and are compiled with Eclipse's compiler, which is a jar too: no JDK is needed.
//
//	go run ./internal/peers/cmd/golden   # make golden: format/testdata/peers anew
package peers
