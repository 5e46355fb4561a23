package main

import (
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"cdc/fault"
	"cdc/internal/settings"
)

// addCompletion tells the shell what may stand behind each command below c. The words of a command's own usage line say it: FILE.yaml, STREAM,
// SINK, CODE..., DIR, BINLOG...; its flags are in flagValues.
func addCompletion(c *cobra.Command) {
	for _, sub := range c.Commands() {
		addCompletion(sub)
	}
	if c.Runnable() && c.ValidArgsFunction == nil {
		words := usageWords(c.Use)
		c.ValidArgsFunction = func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			return completeWord(words, args)
		}
	}
	c.Flags().VisitAll(func(f *pflag.Flag) {
		values, isFile := flagValues(c.CommandPath(), f.Name)
		if isFile || f.Value.Type() == "bool" {
			return // the shell's own completion of files
		}
		_ = c.RegisterFlagCompletionFunc(f.Name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)) // it fails for one that has one
	})
}

// usageWords gives the arguments of a usage line, up to where flags and choices in brackets begin; of A | B | C the last.
func usageWords(use string) []string {
	var words []string
	for _, w := range strings.Fields(use)[1:] {
		switch {
		case strings.HasPrefix(w, "("), strings.HasPrefix(w, "-"):
			return words
		case w == "|":
			words = words[:len(words)-1]
		default:
			words = append(words, strings.Trim(w, "[]"))
		}
	}
	return words
}

// completeWord gives what may stand behind the arguments that are there.
func completeWord(words, args []string) ([]string, cobra.ShellCompDirective) {
	word := ""
	switch n := len(words); {
	case n > 0 && strings.HasSuffix(words[n-1], "..."):
		word = words[min(len(args), n-1)]
	case len(args) < n:
		word = words[len(args)]
	}
	var out []string
	switch word {
	case "FILE.yaml":
		return []string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt
	case "DIR":
		return nil, cobra.ShellCompDirectiveFilterDirs
	case "BINLOG...", "FILE.yaml|DIR":
		return nil, cobra.ShellCompDirectiveDefault
	case "STREAM":
		out = streamsOf(args[0])
	case "SINK":
		for _, s := range sinkNames() {
			out = append(out, s.name+"\t"+s.what)
		}
	case "CODE...":
		for _, d := range fault.All() {
			out = append(out, d.Code.String()+"\t"+d.Summary)
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

// streamsOf gives the names of a configuration's streams, also of one that is not valid yet.
func streamsOf(path string) []string {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	var c Config
	settings.Decode(path, data, &c)
	var out []string
	for i := range c.Streams {
		out = append(out, c.Streams[i].Name)
	}
	return out
}

// flagValues gives the values that a flag may have, as far as they can be listed; isFile says that it names a file.
func flagValues(command, flag string) (values []string, isFile bool) {
	switch flag {
	case "format":
		return append(strings.Split(formatNames, ", "), "none"), false
	case "log-format":
		return []string{"text", "json"}, false
	case "log-level":
		return []string{"debug", "info", "warn", "error"}, false
	case "until":
		return []string{"now"}, false
	case "from":
		if command == "cdc tail" {
			return []string{"now", "start"}, false
		}
		return nil, true
	case "file", "schema-dump", "password-file", "cpuprofile":
		return nil, true
	}
	return nil, false
}
