package broker

import "encoding/binary"

// Murmur2 is the hash of Kafka's Java clients (org.apache.kafka.common.utils.Utils.murmur2): Austin Appleby's MurmurHash2 with the seed
// 0x9747b28c.
func Murmur2(data []byte) uint32 {
	const m, r = 0x5bd1e995, 24
	h := uint32(0x9747b28c) ^ uint32(len(data))
	for len(data) >= 4 {
		k := binary.LittleEndian.Uint32(data)
		k *= m
		k ^= k >> r
		k *= m
		h = h*m ^ k
		data = data[4:]
	}
	switch len(data) {
	case 3:
		h ^= uint32(data[2]) << 16
		fallthrough
	case 2:
		h ^= uint32(data[1]) << 8
		fallthrough
	case 1:
		h = (h ^ uint32(data[0])) * m
	}
	h ^= h >> 13
	h *= m
	return h ^ h>>15
}

// Spread gives the partition of a hash, as the Java client's default partitioner does.
func Spread(hash uint32, partitions int32) int32 { return int32(hash&0x7fffffff) % partitions }
