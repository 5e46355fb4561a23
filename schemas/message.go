package schemas

// Message says that a row of a table is a message of its own, whose parts its columns hold. A transform makes such tables; a sink of messages writes the
// parts as they are, in no format, and others refuse them. A NULL key or value is none.
type Message struct {
	Topic, Key, Value int // columns; the name of the topic is as the transform made it, and may have characters that none may have
	Headers           []MessageHeader
}

// MessageHeader is a header of a message. Where its column is NULL it has no value.
type MessageHeader struct {
	Name   string
	Column int
}
