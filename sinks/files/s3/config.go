package s3

import (
	"net/url"
	"path"
	"strings"
	"time"

	"cdc/internal/settings"
)

// Config is how a store is reached. For a bucket of AWS all of it may be left out.
type Config struct {
	Region    string          `yaml:"region" jsonschema_description:"Region of the bucket. Default: that of the environment or of the shared configuration of AWS, else us-east-1."`
	Endpoint  string          `yaml:"endpoint" jsonschema_description:"URL of another store that speaks S3, as http://minio:9000."`
	PathStyle bool            `yaml:"path_style" jsonschema_description:"Name the bucket in the path and not in the host name. Default true with endpoint where it is not AWS."`
	AccessKey string          `yaml:"access_key" jsonschema_description:"Access key ID. Default: the environment, the shared credentials file, the role of the container or machine."`
	SecretKey settings.Secret `yaml:"secret_key" jsonschema_description:"Secret access key."`
	Timeout   time.Duration   `yaml:"timeout" jsonschema_description:"How long the store may say nothing. Default 60s."`
}

// DefaultTimeout is how long a store may say nothing.
const DefaultTimeout = time.Minute

// Split takes a place s3://BUCKET/PREFIX apart; problem says what is wrong with it.
func Split(dir string) (bucket, prefix, problem string) {
	bucket, prefix, _ = strings.Cut(strings.TrimPrefix(dir, "s3://"), "/") // as it stands: a key may hold any character
	switch {
	case !strings.HasPrefix(dir, "s3://") || bucket == "" || strings.ContainsAny(bucket, ":@?#%"):
		return "", "", "is not s3://BUCKET/PREFIX"
	case path.Clean("/"+prefix) == "/":
		return "", "", "names no prefix below the bucket: the sink has it to itself"
	}
	return bucket, strings.TrimPrefix(path.Clean("/"+prefix), "/") + "/", ""
}

// Validate says what is wrong with the settings for a place.
func (c *Config) Validate(prefix, dir string) []settings.Problem {
	var out []settings.Problem
	problem := func(key, text string) {
		out = append(out, settings.Problem{Path: prefix + "." + key, Text: text})
	}
	if _, _, bad := Split(dir); bad != "" {
		problem("dir", bad)
	}
	if c == nil {
		return out
	}
	if c.Endpoint != "" {
		if u, err := url.Parse(c.Endpoint); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			problem("s3.endpoint", "is not http://HOST:PORT or https://HOST")
		}
	}
	if (c.AccessKey == "") != c.SecretKey.IsZero() {
		problem("s3.secret_key", "access_key and secret_key belong together")
	}
	if c.Timeout < 0 {
		problem("s3.timeout", "is negative")
	}
	return out
}
