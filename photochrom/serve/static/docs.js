// Show the API's documentation from openapi.json, without any other host.

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function typeOf(schema, root) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.anyOf) return schema.anyOf.map((each) => typeOf(each, root)).join(" or ");
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(", ");
  if (schema.type === "array") return `list of ${typeOf(schema.items, root)}`;
  return schema.format === "binary" ? "file" : (schema.type ?? "");
}

function table(head, rows) {
  const line = (cells, kind) => element("tr", {}, ...cells.map((cell) => element(kind, {}, cell)));
  return element("div", { className: "scroll", tabIndex: 0 }, element("table", {}, element("thead", {}, line(head, "th")), element("tbody", {}, ...rows.map((row) => line(row, "td")))));
}

function fields(schema) {
  const needed = new Set(schema.required ?? []);
  return table(["name", "type", "about"], Object.entries(schema.properties ?? {}).map(([name, each]) => [
    element("code", {}, name), typeOf(each),
    [each.description, needed.has(name) ? "Needed." : each.default === undefined || each.default === null ? "" : `Default ${JSON.stringify(each.default)}.`].filter(Boolean).join(" "),
  ]));
}

/** Set what is between pairs of backquotes as code. */
function coded(text) {
  return text.split("``").map((part, index) => (index % 2 ? element("code", {}, part) : part));
}

/** Put answers that differ in nothing but their status onto one line. */
function grouped(responses) {
  const lines = new Map();
  for (const [status, answer] of Object.entries(responses ?? {})) {
    const about = answer.description ?? "", types = Object.keys(answer.content ?? {}).join(", "), key = `${about} ${types}`;
    lines.set(key, [[...(lines.get(key)?.[0] ?? []), status], about, types]);
  }
  return [...lines.values()].map(([statuses, ...rest]) => [statuses.join(", "), ...rest]);
}

function curl(method, path, operation) {
  const base = new URL(".", location.href).href.replace(/\/$/, "");
  const parts = ["curl"];
  if (method !== "get") parts.push(`-X ${method.toUpperCase()}`);
  const content = operation.requestBody?.content ?? {};
  if (content["image/*"]) parts.push("--data-binary @photo.jpg");
  else if (content["application/json"]) parts.push("-H 'Content-Type: application/json' -d '{}'");
  return `${parts.join(" ")} ${base}${path}`;
}

function describe(method, path, operation, root) {
  const section = element("section", { className: "operation" });
  section.append(
    element("h3", {}, element("code", { className: `method ${method}` }, method.toUpperCase()), " ", element("code", {}, path)),
    element("p", { className: "summary" }, operation.summary ?? ""),
  );
  for (const paragraph of (operation.description ?? "").split("\n\n").filter(Boolean)) section.append(element("p", {}, ...coded(paragraph.replaceAll("\n", " "))));
  if (operation.parameters?.length) {
    section.append(element("h4", {}, "Parameters"), table(["name", "in", "type", "about"], operation.parameters.map((each) => [
      element("code", {}, each.name), each.in, typeOf(each.schema, root), each.description ?? each.schema?.description ?? "",
    ])));
  }
  for (const [type, body] of Object.entries(operation.requestBody?.content ?? {})) {
    const schema = body.schema?.$ref ? root.components.schemas[body.schema.$ref.split("/").pop()] : body.schema;
    section.append(element("h4", {}, "Body: ", element("code", {}, type)));
    if (schema?.properties) section.append(fields(schema));
  }
  section.append(element("h4", {}, "Answers"), table(["status", "about", "type"], grouped(operation.responses)));
  section.append(element("pre", { tabIndex: 0 }, element("code", {}, curl(method, path, operation))));
  return section;
}

const main = document.getElementById("operations");
const root = await (await fetch("openapi.json")).json();
main.append(element("p", {}, root.info.summary ?? ""));
const groups = new Map();
for (const [path, operations] of Object.entries(root.paths)) {
  for (const [method, operation] of Object.entries(operations)) {
    const tag = operation.tags?.[0] ?? "other";
    groups.set(tag, [...(groups.get(tag) ?? []), describe(method, path, operation, root)]);
  }
}
for (const [tag, sections] of groups) main.append(element("h2", {}, tag[0].toUpperCase() + tag.slice(1)), ...sections);
main.append(element("h2", {}, "Bodies"));
for (const [name, schema] of Object.entries(root.components.schemas)) {
  if (schema.properties) main.append(element("section", { className: "operation" }, element("h3", {}, element("code", {}, name)), element("p", {}, schema.description ?? ""), fields(schema)));
}
main.removeAttribute("aria-busy");
