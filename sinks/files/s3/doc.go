// Package s3 is a place for the files sink in a bucket of Amazon S3, or of another store that speaks its protocol.
//
//	at, err := s3.Open(ctx, "s3://warehouse/shop", &s3.Config{Region: "eu-central-1"})
//	store, err := files.OpenRemote(ctx, at, spool)
//
// It is a files.Remote over AWS's own client library, with its chain of credentials.
//
// # How
//
// What must never replace goes with If-None-Match: * (AWS has it since 2024, MinIO longer). Stores that do not know the condition ignore it; files.OpenRemote
// tries that at each start.
//
// A bucket renames nothing. A file is published by an upload in parts, each copied within the store from the temporary object, so that the bytes cross the network
// once, and the last request makes it visible: completing the upload, under that condition. An upload that was never completed is seen by nobody but
// costs its space: Sweep aborts those below the prefix, which therefore belongs to the sink alone.
//
// What needs an answer is asked again by the library where none came. So a condition may fail by what the first request did; whoever gets fs.ErrExist compares.
package s3
