// Draw the photograph: WebGL 2 puts color onto luma by the model of the upsampling; without it, pictures of the server are drawn.

const VERTEX = `#version 300 es
void main() { gl_Position = vec4(vec2(gl_VertexID & 1, gl_VertexID >> 1) * 4. - 1., 0, 1); }`;

const FRAGMENT = `#version 300 es
precision highp float;
uniform sampler2D luma, blue, red, doubt;
uniform vec2 size, canvas;      // of the photograph, and of the canvas, in pixels
uniform vec3 view;              // left and top of the photograph on the canvas, and its scale
uniform float divider, overlay; // column of the canvas where color begins; strength of the overlay
uniform vec3 background;
out vec4 color;
float excess(vec4 model, float y) { return clamp(model.r + model.g * (y - 128.), model.b, model.a); }
void main() {
  vec2 pixel = vec2(gl_FragCoord.x, canvas.y - gl_FragCoord.y);
  vec2 place = (pixel - view.xy) / (view.z * size);
  float y = texture(luma, place).r * 255.;
  float b = excess(texture(blue, place), y), r = excess(texture(red, place), y);
  float unsure = 1. - texture(doubt, place).r;
  float g = -(0.114 * b + 0.299 * r) / 0.587;
  float most = max(max(b, r), g), least = min(min(b, r), g);
  float factor = min(1., min((255. - y) / (most + 1e-3), y / (1e-3 - least)));
  vec3 grey = vec3(y), shown = pixel.x < divider ? grey : grey + factor * vec3(r, g, b);
  shown = mix(shown, mix(grey, vec3(255., 90., 20.), .6), overlay * .8 * smoothstep(.35, .95, unsure));
  bool outside = any(lessThan(place, vec2(0))) || any(greaterThan(place, vec2(1)));
  color = vec4(outside ? background : shown / 255., 1);
}`;

class Painter {
  constructor(gl) {
    this.gl = gl;
    this.most = gl.getParameter(gl.MAX_TEXTURE_SIZE);
    this.program = gl.createProgram();
    for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      gl.attachShader(this.program, shader);
    }
    gl.linkProgram(this.program);
    if (!gl.getProgramParameter(this.program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(this.program));
    gl.useProgram(this.program);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    gl.pixelStorei(gl.UNPACK_COLORSPACE_CONVERSION_WEBGL, gl.NONE);
    this.at = {};
    for (const name of ["luma", "blue", "red", "doubt", "size", "canvas", "view", "divider", "overlay", "background"]) this.at[name] = gl.getUniformLocation(this.program, name);
    this.textures = ["luma", "blue", "red", "doubt"].map((name, unit) => {
      const texture = gl.createTexture();
      gl.activeTexture(gl.TEXTURE0 + unit);
      gl.bindTexture(gl.TEXTURE_2D, texture);
      for (const side of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, side, gl.CLAMP_TO_EDGE);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR);
      gl.uniform1i(this.at[name], unit);
      return texture;
    });
    this.setLuma(null);
    this.setModel(null);
    this.setDoubt(null);
  }

  setLuma(bitmap) {
    const gl = this.gl;
    gl.activeTexture(gl.TEXTURE0);
    if (bitmap) {
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.R8, gl.RED, gl.UNSIGNED_BYTE, bitmap);
      gl.generateMipmap(gl.TEXTURE_2D);
    } else gl.texImage2D(gl.TEXTURE_2D, 0, gl.R8, 1, 1, 0, gl.RED, gl.UNSIGNED_BYTE, new Uint8Array([0]));
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, bitmap ? gl.LINEAR_MIPMAP_LINEAR : gl.LINEAR);
  }

  setModel(buffer) {
    const gl = this.gl;
    const [high, wide] = buffer ? new Uint32Array(buffer, 4, 2) : [1, 1];
    for (const [index, unit] of [[0, 1], [1, 2]]) {
      const texels = buffer ? new Uint16Array(buffer, 12 + index * high * wide * 8, high * wide * 4) : new Uint16Array(4);
      gl.activeTexture(gl.TEXTURE0 + unit);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA16F, wide, high, 0, gl.RGBA, gl.HALF_FLOAT, texels);
    }
  }

  setDoubt(bitmap) {
    const gl = this.gl;
    gl.activeTexture(gl.TEXTURE3);
    if (bitmap) gl.texImage2D(gl.TEXTURE_2D, 0, gl.R8, gl.RED, gl.UNSIGNED_BYTE, bitmap);
    else gl.texImage2D(gl.TEXTURE_2D, 0, gl.R8, 1, 1, 0, gl.RED, gl.UNSIGNED_BYTE, new Uint8Array([255]));
  }

  draw({ size, view, divider, overlay, background }) {
    const gl = this.gl;
    gl.viewport(0, 0, gl.drawingBufferWidth, gl.drawingBufferHeight);
    gl.activeTexture(gl.TEXTURE0);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, view[2] > 3 ? gl.NEAREST : gl.LINEAR);
    gl.uniform2f(this.at.size, ...size);
    gl.uniform2f(this.at.canvas, gl.drawingBufferWidth, gl.drawingBufferHeight);
    gl.uniform3f(this.at.view, ...view);
    gl.uniform1f(this.at.divider, divider);
    gl.uniform1f(this.at.overlay, overlay);
    gl.uniform3f(this.at.background, ...background);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }
}

/** Draws pictures that the server colored, where there is no WebGL 2. */
class Copier {
  constructor(context) {
    this.context = context;
    this.most = 4096;
    this.luma = this.picture = this.doubt = null;
  }

  setLuma(bitmap) { this.luma = bitmap; }

  setPicture(bitmap) { this.picture = bitmap; }

  setDoubt(bitmap) {
    this.doubt = null;
    if (!bitmap) return;
    const canvas = new OffscreenCanvas(bitmap.width, bitmap.height), context = canvas.getContext("2d");
    context.drawImage(bitmap, 0, 0);
    const data = context.getImageData(0, 0, bitmap.width, bitmap.height);
    for (let i = 0; i < data.data.length; i += 4) data.data.set([255, 96, 32, Math.max(0, 130 - data.data[i])], i);
    context.putImageData(data, 0, 0);
    this.doubt = canvas;
  }

  draw({ size, view, divider, overlay, background }) {
    const { context } = this, { width, height } = context.canvas;
    const place = [view[0], view[1], view[2] * size[0], view[2] * size[1]];
    context.fillStyle = `rgb(${background.map((part) => Math.round(255 * part)).join(" ")})`;
    context.fillRect(0, 0, width, height);
    if (this.luma) context.drawImage(this.luma, ...place);
    if (this.picture && divider < width) {
      context.save();
      context.beginPath();
      context.rect(divider, 0, width - divider, height);
      context.clip();
      context.drawImage(this.picture, ...place);
      context.restore();
    }
    if (overlay && this.doubt) context.drawImage(this.doubt, ...place);
  }
}

/** Choose how to draw on a canvas; ``shader`` tells whether color comes from the model. */
export function makeScreen(canvas) {
  const gl = canvas.getContext("webgl2", { alpha: false, antialias: false, preserveDrawingBuffer: true, colorSpace: "srgb" });
  if (gl) return Object.assign(new Painter(gl), { shader: true });
  return Object.assign(new Copier(canvas.getContext("2d")), { shader: false });
}
