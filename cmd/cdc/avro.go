package main

import (
	"cmp"
	"fmt"

	"cdc/format"
	"cdc/format/avro"
	"cdc/gtid"
	"cdc/internal/settings"
	"cdc/sinks/kafka"
	"cdc/sinks/kafka/registry"
)

// Formats whose records name a schema of a registry, which the Kafka sink has.
const (
	formatAvro         = "avro"
	formatDebeziumAvro = "debezium-avro"
)

// isAvro reports that records name schemas.
func (f *FormatConfig) isAvro() bool { return f.Format == formatAvro || f.Format == formatDebeziumAvro }

// validateFormat appends what is wrong with the format and its settings.
func (k *KafkaConfig) validateFormat(out *[]settings.Problem, at string) {
	problem := func(key, format string, args ...any) {
		*out = append(*out, settings.Problem{Path: at + "." + key, Text: fmt.Sprintf(format, args...)})
	}
	f := k.format()
	if !f.isAvro() {
		if k.Avro != nil {
			problem("avro", "goes with format: %s or %s only", formatAvro, formatDebeziumAvro)
		}
		if k.SchemaRegistry != nil {
			problem("schema_registry", "goes with format: %s or %s only", formatAvro, formatDebeziumAvro)
		}
		f.validate(out, at, false)
		return
	}
	other := f
	if other.Format = "plain"; f.Format == formatDebeziumAvro {
		other.Format = "debezium"
	}
	other.validate(out, at, false) // what goes with another format
	if err := k.avro(&f, gtid.MySQL, nil).Validate(); err != nil {
		problem("avro", "%v", err)
	}
	if k.SchemaRegistry == nil {
		problem("schema_registry", "is missing: format %s needs one", f.Format)
		return
	}
	*out = append(*out, k.SchemaRegistry.Validate(at+".schema_registry")...)
}

// avro gives the options of the Avro formats.
func (k *KafkaConfig) avro(f *FormatConfig, flavor gtid.Flavor, r format.Registrar) avro.Options {
	var o avro.Options
	if k.Avro != nil {
		o = *k.Avro
	}
	o.Shape, o.Keys, o.Registrar = avro.Flat, true, r
	if f.Format == formatDebeziumAvro {
		o.Shape = avro.Envelope
		if f.Debezium != nil {
			o.Debezium = *f.Debezium
		}
		o.Debezium.Connector = cmp.Or(o.Debezium.Connector, flavor.String())
	}
	return o
}

// registered gives what makes encoders of the Avro formats, which ask the registry, and the registry.
func (k *KafkaConfig) registered(c *Config, f *FormatConfig, flavor gtid.Flavor) (func() format.Encoder, *registry.Client, error) {
	r := *k.SchemaRegistry
	for _, p := range []*string{&r.TLS.CA, &r.TLS.Cert, &r.TLS.Key} {
		if *p != "" {
			*p = c.path(*p)
		}
	}
	client, err := registry.Open(r)
	if err != nil {
		return nil, nil, err
	}
	enc, err := maker(k.avro(f, flavor, client), avro.New)
	return enc, client, err
}

// encoding fills in what the sink has of the format.
func (k *KafkaConfig) encoding(o *kafka.Options, c *Config, flavor gtid.Flavor) error {
	f := k.format()
	var err error
	if f.isAvro() {
		var client *registry.Client
		if o.Encoder, client, err = k.registered(c, &f, flavor); err != nil {
			return err
		}
		o.CheckSchemas = client.Check
	} else if o.Encoder, err = f.encoder(flavor, true); err != nil {
		return err
	}
	if f.Format == "debezium" || f.Format == formatDebeziumAvro {
		o.PeerHeaders = [2]string{"__debezium.newkey", "__debezium.oldkey"}
	}
	return nil
}
