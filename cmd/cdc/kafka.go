package main

import (
	"cmp"

	"cdc/event"
	"cdc/gtid"
	"cdc/internal/settings"
	"cdc/sinks/kafka"
)

// KafkaConfig is topics of Kafka.
type KafkaConfig struct {
	FormatConfig `yaml:",inline"`
	kafka.Config `yaml:",inline"`
}

// validate appends what is wrong at the path at.
func (k *KafkaConfig) validate(out *[]settings.Problem, at string) {
	f := k.format()
	f.validate(out, at, false)
	*out = append(*out, k.Config.Validate(at)...)
}

// format is the format with the default of this sink.
func (k *KafkaConfig) format() FormatConfig {
	f := k.FormatConfig
	f.Format = cmp.Or(f.Format, "debezium")
	return f
}

// options gives the options of the sink. Paths are relative to the configuration.
func (k *KafkaConfig) options(c *Config, flavor gtid.Flavor, budget *event.Budget) (kafka.Options, error) {
	f := k.format()
	enc, err := f.encoder(flavor, true)
	if err != nil {
		return kafka.Options{}, err
	}
	o := kafka.Options{Config: k.Config, Encoder: enc, Budget: budget}
	for _, p := range []*string{&o.TLS.CA, &o.TLS.Cert, &o.TLS.Key} {
		if *p != "" {
			*p = c.path(*p)
		}
	}
	if f.Format == "debezium" {
		o.PeerHeaders = [2]string{"__debezium.newkey", "__debezium.oldkey"}
	}
	return o, nil
}

// openKafka opens the sink of a stream. state is what it has kept in the checkpoint.
func openKafka(c *Config, k *KafkaConfig, budget *event.Budget, state []byte, waits func(error)) (*kafka.Sink, error) {
	o, err := k.options(c, c.Source.flavor(), budget)
	if err != nil {
		return nil, err
	}
	o.Stalled, o.State = waits, state
	return kafka.Open(o)
}
