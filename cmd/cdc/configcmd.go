package main

import (
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/invopop/jsonschema"
	"github.com/spf13/cobra"

	"cdc/internal/settings"
)

func configCommand() *cobra.Command {
	c := &cobra.Command{Use: "config", Short: "Check a configuration, print an example, or its schema"}
	c.AddCommand(&cobra.Command{
		Use:     "check FILE.yaml",
		Short:   "Say all that is wrong with a configuration, without connecting anywhere",
		Example: "  cdc config check pipeline.yaml",
		Args:    oneFile,
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := loadConfig(args[0])
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s: ok, %d stream(s) from %s\n", args[0], len(cfg.Streams), cfg.Source.server().Address)
			return err
		},
	}, &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of the configuration, for editors",
		Example: `  cdc config schema > cdc.schema.json
  # then, as the first line of a configuration:
  # yaml-language-server: $schema=cdc.schema.json`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			e := json.NewEncoder(c.OutOrStdout())
			e.SetIndent("", "  ")
			return e.Encode(configSchema())
		},
	}, exampleCommand())
	return c
}

// configSchema is made from the structs that the configuration is read into.
func configSchema() *jsonschema.Schema {
	r := jsonschema.Reflector{
		FieldNameTag: "yaml", RequiredFromJSONSchemaTags: true, DoNotReference: true, Anonymous: true,
		Mapper: func(t reflect.Type) *jsonschema.Schema {
			switch t.String() {
			case "time.Duration":
				return &jsonschema.Schema{Type: "string", Pattern: `^[0-9.]+(ns|us|ms|s|m|h)([0-9.]+(ns|us|ms|s|m|h))*$`}
			case reflect.TypeFor[settings.Size]().String():
				return &jsonschema.Schema{OneOf: []*jsonschema.Schema{{Type: "string", Pattern: `^[0-9.]+ *([kKmMgGtT]?[iI]?[bB]?)$`}, {Type: "integer"}}}
			}
			return nil
		},
	}
	return r.Reflect(&Config{})
}
