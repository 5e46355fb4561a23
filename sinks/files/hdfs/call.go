package hdfs

import (
	"errors"
	"fmt"
	"reflect"
	"unsafe"

	"github.com/colinmarc/hdfs/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// executor is what the library's connection to the NameNode does: a call of org.apache.hadoop.hdfs.protocol.ClientProtocol.
type executor interface {
	Execute(method string, request, response proto.Message) error
}

var errLibrary = errors.New("the HDFS library is not the one that this was written for")

// connection gives the connection that a client holds in a private field. Its messages are private types too, but known to the registry of messages by name.
func connection(c *hdfs.Client) (executor, error) {
	v := reflect.ValueOf(c).Elem().FieldByName("namenode")
	if !v.IsValid() || !v.CanAddr() {
		return nil, errLibrary
	}
	e, ok := reflect.NewAt(v.Type(), unsafe.Pointer(v.UnsafeAddr())).Elem().Interface().(executor)
	if !ok {
		return nil, errLibrary
	}
	return e, nil
}

// rename calls ClientProtocol.rename, which refuses where the target exists, the source does not, or there is no folder above the target: then done is false.
func rename(e executor, from, to string) (done bool, err error) {
	request, err := message("hadoop.hdfs.RenameRequestProto")
	if err != nil {
		return false, err
	}
	response, err := message("hadoop.hdfs.RenameResponseProto")
	if err != nil {
		return false, err
	}
	for name, value := range map[protoreflect.Name]string{"src": from, "dst": to} {
		field := request.Descriptor().Fields().ByName(name)
		if field == nil {
			return false, errLibrary
		}
		request.Set(field, protoreflect.ValueOfString(value))
	}
	result := response.Descriptor().Fields().ByName("result")
	if result == nil {
		return false, errLibrary
	}
	if err := e.Execute("rename", request.Interface(), response.Interface()); err != nil {
		return false, err
	}
	return response.Get(result).Bool(), nil
}

func message(name protoreflect.FullName) (protoreflect.Message, error) {
	t, err := protoregistry.GlobalTypes.FindMessageByName(name)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errLibrary, err)
	}
	return t.New(), nil
}
