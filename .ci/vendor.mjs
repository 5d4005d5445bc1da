// Copies the few files of npm packages that the dashboard serves into static/vendor, with their licences, and writes
// manifest.json. Run it in .ci after changing package.json:
//
//   npm ci --ignore-scripts && node vendor.mjs
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";

// files lists what is served of each package; licence is the file with its text.
const packages = {
  "basecoat-css": { files: ["dist/basecoat-mira.cdn.min.css"], licence: "LICENSE.md" },
};

const target = join(import.meta.dirname, "..", "static", "vendor");
rmSync(target, { recursive: true, force: true });
const manifest = [];
for (const [name, { files, licence }] of Object.entries(packages)) {
  const source = join(import.meta.dirname, "node_modules", name);
  const meta = JSON.parse(readFileSync(join(source, "package.json"), "utf8"));
  const dir = `${name}@${meta.version}`;
  mkdirSync(join(target, dir), { recursive: true });
  copyFileSync(join(source, licence), join(target, dir, "LICENSE"));
  for (const file of files) {
    const content = readFileSync(join(source, file));
    writeFileSync(join(target, dir, basename(file)), content);
    manifest.push({
      file: `${dir}/${basename(file)}`,
      sha256: createHash("sha256").update(content).digest("hex"),
      licence: meta.license,
      licence_file: `${dir}/LICENSE`,
      package: name,
      version: meta.version,
      source: `${meta.repository.url.replace(/^git\+|\.git$/g, "")} (npm ${name}@${meta.version}, ${file})`,
    });
  }
}
writeFileSync(join(target, "manifest.json"), JSON.stringify(manifest, null, 2) + "\n");
