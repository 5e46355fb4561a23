package s3

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"cdc/fault"
	"cdc/sinks/files"
)

// Place is a prefix of a bucket, a files.Remote.
type Place struct {
	client *s3.Client
	http   *awshttp.BuildableClient
	bucket string
	prefix string
}

var (
	_ files.Remote     = (*Place)(nil)
	_ files.Withdrawer = (*Place)(nil)
)

const (
	// MaxFile is how large a file may be: the limit of one request.
	MaxFile = 5 << 30
	// partSize is how much one request copies within the store.
	partSize = 1 << 30
)

// Open makes a client for a place; c may be nil. The store is not asked before the first request.
func Open(ctx context.Context, dir string, c *Config) (*Place, error) {
	if c == nil {
		c = &Config{}
	}
	bucket, prefix, bad := Split(dir)
	if bad != "" {
		return nil, fault.New(fault.ConfigInvalid, "%s %s", dir, bad)
	}
	p := &Place{bucket: bucket, prefix: prefix}
	silence := cmp.Or(c.Timeout, DefaultTimeout)
	p.http = awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		dial := t.DialContext
		t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			n, err := dial(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &conn{n, silence}, nil
		}
		t.MaxIdleConnsPerHost = 16
	})
	with := []func(*config.LoadOptions) error{config.WithHTTPClient(p.http)}
	if c.Region != "" {
		with = append(with, config.WithRegion(c.Region))
	}
	if c.AccessKey != "" {
		secret, err := c.SecretKey.Value()
		if err != nil {
			return nil, fault.New(fault.ConfigInvalid, "secret_key: %w", err)
		}
		with = append(with, config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(c.AccessKey, secret, "")))
	}
	cfg, err := config.LoadDefaultConfig(ctx, with...)
	if err != nil {
		return nil, fault.New(fault.SinkPlaceLogin, "read the configuration of AWS: %w", err)
	}
	if cfg.Region == "" {
		cfg.Region = "us-east-1"
	}
	p.client = s3.NewFromConfig(cfg, func(o *s3.Options) {
		if c.Endpoint != "" {
			o.BaseEndpoint = aws.String(c.Endpoint)
		}
		o.DisableLogOutputChecksumValidationSkipped = true // what was read is compared with our own checksums
		u, err := url.Parse(c.Endpoint)
		o.UsePathStyle = c.PathStyle || err == nil && u.Host != "" && !strings.HasSuffix(u.Hostname(), ".amazonaws.com")
	})
	return p, nil
}

func (p *Place) key(name string) *string { return aws.String(p.prefix + name) }

// Put implements files.Remote.
func (p *Place) Put(ctx context.Context, name string, body io.ReadSeeker, size int64) error {
	if size > MaxFile {
		return fault.New(fault.SinkWrite, "a file of %d bytes is larger than one request may be: set a smaller size", size)
	}
	_, err := p.client.PutObject(ctx, &s3.PutObjectInput{Bucket: &p.bucket, Key: p.key(name), Body: body, ContentLength: &size})
	return explain(err)
}

// conflicts is how often a request is made again that the store refused because another was under way for the same name.
const conflicts = 5

// PutNew implements files.Remote.
func (p *Place) PutNew(ctx context.Context, name string, body []byte) error {
	return again(ctx, func() error {
		_, err := p.client.PutObject(ctx, &s3.PutObjectInput{
			Bucket: &p.bucket, Key: p.key(name), Body: bytes.NewReader(body), ContentLength: aws.Int64(int64(len(body))), IfNoneMatch: aws.String("*"),
		})
		return err
	})
}

// again makes a conditional request, until its outcome does not depend on one that is under way.
func again(ctx context.Context, request func() error) error {
	for try := 1; ; try++ {
		err := request()
		if code(err) != "ConditionalRequestConflict" || try == conflicts {
			return explain(err)
		}
		t := time.NewTimer(time.Duration(try) * 100 * time.Millisecond)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		}
	}
}

// Open implements files.Remote.
func (p *Place) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	out, err := p.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &p.bucket, Key: p.key(name)})
	if err != nil {
		return nil, explain(err)
	}
	return body{out.Body}, nil
}

// body makes faults of what goes wrong while a file is read.
type body struct{ io.ReadCloser }

func (b body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = explain(err)
	}
	return n, err
}

// List implements files.Remote.
func (p *Place) List(ctx context.Context, dir string) ([]string, error) {
	if dir += "/"; dir == "./" {
		dir = ""
	}
	in := &s3.ListObjectsV2Input{Bucket: &p.bucket, Prefix: p.key(dir), Delimiter: aws.String("/")}
	var names []string
	for pages := s3.NewListObjectsV2Paginator(p.client, in); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, explain(err)
		}
		for _, o := range page.Contents {
			if name := strings.TrimPrefix(aws.ToString(o.Key), *in.Prefix); name != "" { // some tools make an object for a folder
				names = append(names, name)
			}
		}
		for _, c := range page.CommonPrefixes {
			names = append(names, strings.TrimSuffix(strings.TrimPrefix(aws.ToString(c.Prefix), *in.Prefix), "/"))
		}
	}
	return names, nil
}

// Publish implements files.Remote.
func (p *Place) Publish(ctx context.Context, temp, final string) error {
	head, err := p.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &p.bucket, Key: p.key(temp)})
	if err != nil {
		return explain(err)
	}
	up, err := p.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &p.bucket, Key: p.key(final)})
	if err != nil {
		return explain(err)
	}
	err = p.complete(ctx, up.UploadId, temp, final, aws.ToInt64(head.ContentLength))
	if err != nil && ctx.Err() == nil {
		// Best effort: the next start does it. Where the upload was completed all the same this does nothing.
		_, _ = p.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &p.bucket, Key: p.key(final), UploadId: up.UploadId})
	}
	return err
}

func (p *Place) complete(ctx context.Context, upload *string, temp, final string, size int64) error {
	source := strings.ReplaceAll((&url.URL{Path: p.bucket + "/" + p.prefix + temp}).EscapedPath(), "+", "%2B")
	var parts []types.CompletedPart
	for at := int64(0); at < size; at += partSize {
		in := &s3.UploadPartCopyInput{
			Bucket: &p.bucket, Key: p.key(final), UploadId: upload, CopySource: &source, PartNumber: aws.Int32(int32(len(parts) + 1)),
		}
		if size > partSize {
			in.CopySourceRange = aws.String(fmt.Sprintf("bytes=%d-%d", at, min(at+partSize, size)-1))
		}
		out, err := p.client.UploadPartCopy(ctx, in)
		if err != nil {
			return explain(err)
		}
		r := out.CopyPartResult
		parts = append(parts, types.CompletedPart{
			PartNumber: in.PartNumber, ETag: r.ETag, ChecksumCRC32: r.ChecksumCRC32, ChecksumCRC32C: r.ChecksumCRC32C, ChecksumCRC64NVME: r.ChecksumCRC64NVME,
			ChecksumSHA1: r.ChecksumSHA1, ChecksumSHA256: r.ChecksumSHA256,
		})
	}
	err := again(ctx, func() error {
		_, err := p.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
			Bucket: &p.bucket, Key: p.key(final), UploadId: upload, IfNoneMatch: aws.String("*"), MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
		})
		return err
	})
	if f, ok := fault.As(err); ok && code(f) == "NoSuchUpload" {
		// Completed by a request whose answer was lost, or aborted by another process.
		if _, herr := p.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &p.bucket, Key: p.key(final)}); herr == nil {
			return fs.ErrExist
		}
	}
	return err
}

// Remove implements files.Remote.
func (p *Place) Remove(ctx context.Context, name string) error {
	_, err := p.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &p.bucket, Key: p.key(name)})
	return explain(err)
}

// Sweep implements files.Remote: it aborts uploads.
func (p *Place) Sweep(ctx context.Context) error {
	in := &s3.ListMultipartUploadsInput{Bucket: &p.bucket, Prefix: &p.prefix}
	for {
		out, err := p.client.ListMultipartUploads(ctx, in)
		if err != nil {
			return explain(err)
		}
		for _, u := range out.Uploads {
			_, err := p.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &p.bucket, Key: u.Key, UploadId: u.UploadId})
			if err != nil && code(err) != "NoSuchUpload" {
				return explain(err)
			}
		}
		if !aws.ToBool(out.IsTruncated) {
			return nil
		}
		in.KeyMarker, in.UploadIdMarker = out.NextKeyMarker, out.NextUploadIdMarker
	}
}

// Withdraw implements files.Withdrawer: it aborts the uploads of one file.
func (p *Place) Withdraw(ctx context.Context, final string) error {
	key := *p.key(final)
	out, err := p.client.ListMultipartUploads(ctx, &s3.ListMultipartUploadsInput{Bucket: &p.bucket, Prefix: &key})
	if err != nil {
		return explain(err)
	}
	for _, u := range out.Uploads {
		if aws.ToString(u.Key) != key {
			continue
		}
		_, err := p.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &p.bucket, Key: u.Key, UploadId: u.UploadId})
		if err != nil && code(err) != "NoSuchUpload" {
			return explain(err)
		}
	}
	return nil
}

// Free implements files.Remote: nobody knows.
func (p *Place) Free(context.Context) (uint64, error) { return math.MaxUint64, nil }

// Close ends the connections that wait for further use.
func (p *Place) Close() error {
	p.http.GetTransport().CloseIdleConnections()
	return nil
}

// code is the name by which the store says what is wrong, "" where it has said nothing.
func code(err error) string {
	var said smithy.APIError
	if errors.As(err, &said) {
		return said.ErrorCode()
	}
	return ""
}

// explain makes of what the store says what the sink understands.
func explain(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	var unsigned *v4.SigningError
	switch code(err) {
	case "NoSuchKey", "NotFound":
		return fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	case "PreconditionFailed":
		return fmt.Errorf("%w: %w", fs.ErrExist, err)
	case "AccessDenied", "Forbidden", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "AllAccessDisabled", "NoSuchBucket",
		"PermanentRedirect", "AuthorizationHeaderMalformed", "InvalidBucketName":
		return fault.New(fault.SinkPlaceLogin, "%w", err)
	case "NotImplemented", "MethodNotAllowed":
		return fault.New(fault.SinkPlaceUnfit, "%w", err)
	case "QuotaExceeded", "XMinioStorageFull":
		return fmt.Errorf("%w: %w", files.ErrFull, err)
	}
	if errors.As(err, &unsigned) {
		return fault.New(fault.SinkPlaceLogin, "%w", err)
	}
	return fault.New(fault.SinkPlace, "%w", err)
}

// conn is a connection that ends where the other side says nothing, or takes nothing, for too long.
type conn struct {
	net.Conn
	silence time.Duration
}

func (c *conn) Read(b []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.silence)); err != nil {
		return 0, err
	}
	return c.Conn.Read(b)
}

func (c *conn) Write(b []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.silence)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}
