package jdk.nashorn.api.scripting;

/** Maxwell names this class of the JavaScript engine that Java 15 dropped, also where no script is configured. */
public abstract class ScriptObjectMirror implements java.util.Map<String, Object> {
	public boolean isArray() {
		return false;
	}
}
