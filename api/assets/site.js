// doacoes: what the pages do beyond HTML. Every flow works without it.
// It writes text and attributes only, never HTML, and reads data-* attributes that docs name.

const doc = document;
const ingles = doc.documentElement.lang.startsWith('en');
const lingua = ingles ? 'en' : 'pt-BR';
const frases = ingles
  ? {
      copiado: 'Code copied',
      linkCopiado: 'Link copied',
      segure: 'Touch and hold the text to copy it',
      doar: 'Donate',
      total: 'Raised so far:',
      daMeta: 'of the goal of',
      semPix: 'We have not received it yet. If you have paid, your donation counts and will show up here.',
      vendo: 'Checking…',
      chegou: 'Your payment has arrived.',
      resta: '# left',
      faltam: 'Time left to pay:',
      acabou: 'The time for this code is over.',
    }
  : {
      copiado: 'Código copiado',
      linkCopiado: 'Link copiado',
      segure: 'Toque no texto e segure para copiar',
      doar: 'Doar',
      total: 'Arrecadado até agora:',
      daMeta: 'da meta de',
      semPix: 'Ainda não recebemos. Se você já pagou, a doação vale e aparece aqui quando o Pix chegar.',
      vendo: 'Verificando…',
      chegou: 'Seu Pix chegou.',
      resta: 'Faltam #',
      faltam: 'Tempo que resta para pagar:',
      acabou: 'O prazo deste código acabou.',
    };

/** @type {(seletor: string, dentro?: ParentNode) => HTMLElement[]} */
const todos = (seletor, dentro = doc) => /** @type {HTMLElement[]} */ (Array.from(dentro.querySelectorAll(seletor)));
/** @type {(seletor: string, dentro?: ParentNode) => HTMLElement | null} */
const um = (seletor, dentro = doc) => dentro.querySelector(seletor);
/** @type {(no: Element | null, texto: string) => void} */
const escreve = (no, texto) => {
  if (no && no.textContent !== texto) no.textContent = texto;
};
const visivel = () => doc.visibilityState === 'visible';

/** @type {(centavos: number) => string} */
const numero = (centavos) => (centavos / 100).toLocaleString(lingua, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
/** @type {(centavos: number) => string} */
const reais = (centavos) => `R$\u00a0${numero(centavos)}`;

/**
 * What a person typed, in centavos; null where it is not clear.
 * @param {string} texto
 * @returns {number | null}
 */
const centavosDe = (texto) => {
  const limpo = texto.replace(/r\$|\s/gi, '');
  const comCentavos = /^(.*)([.,])([0-9]{1,2})$/.exec(limpo);
  const inteiro = comCentavos ? comCentavos[1] : limpo;
  const decimais = comCentavos ? comCentavos[3] : '';
  const milhar = comCentavos ? (comCentavos[2] === ',' ? '\\.' : ',') : ingles ? ',' : '\\.';
  if (!new RegExp(`^([0-9]+|[1-9][0-9]{0,2}(${milhar}[0-9]{3})+)$`).test(inteiro)) return null;
  const valor = Number(inteiro.replace(/[.,]/g, '')) * 100 + Number(decimais.padEnd(2, '0'));
  return valor > 0 && valor <= 1e8 ? valor : null;
};

/* The live region: one for the page, at most once in 30 s, not while somebody fills a field in. */
const vivo = um('[data-vivo]');
let faladoEm = -Infinity;
/** @type {(texto: string, jah?: boolean) => void} */
const fala = (texto, jah = false) => {
  const ativo = doc.activeElement;
  const digitando = ativo && ativo.matches('input, textarea, select');
  if (!vivo || (!jah && (digitando || performance.now() - faladoEm < 30_000))) return;
  faladoEm = performance.now();
  vivo.textContent = texto;
};

/* Copy: the clipboard, else the old command on the selected field, else the person's own finger. */
/** @type {(campo: HTMLInputElement | HTMLTextAreaElement) => Promise<boolean>} */
const copia = async (campo) => {
  try {
    await navigator.clipboard.writeText(campo.value);
    return true;
  } catch {
    campo.focus({ preventScroll: true });
    campo.select();
    campo.setSelectionRange(0, campo.value.length);
    try {
      return doc.execCommand('copy');
    } catch {
      return false;
    }
  }
};
for (const botao of todos('[data-copia]')) {
  const campo = /** @type {HTMLInputElement | null} */ (doc.getElementById(botao.dataset.copia || ''));
  const aviso = doc.getElementById(botao.dataset.copiaAviso || '');
  if (!campo) continue;
  /** @type {number | undefined} */
  let espera;
  botao.hidden = false;
  botao.addEventListener('click', async () => {
    const deu = await copia(campo);
    if (deu) botao.focus({ preventScroll: true });
    escreve(aviso, deu ? `✓ ${'copiaLink' in botao.dataset ? frases.linkCopiado : frases.copiado}` : frases.segure);
    clearTimeout(espera);
    if (deu) espera = setTimeout(() => escreve(aviso, ''), 5000);
  });
}

/* Share and print, where the browser can. */
for (const botao of todos('[data-compartilha]')) {
  if (!navigator.share) break;
  botao.hidden = false;
  botao.addEventListener('click', () => {
    const { titulo = doc.title, url = location.href } = botao.dataset;
    navigator.share({ title: titulo, text: titulo, url }).catch(() => {});
  });
}
for (const botao of todos('[data-imprime]')) {
  botao.hidden = false;
  botao.addEventListener('click', () => print());
}

/* Amount: typing picks "another amount", and the button repeats the sum. */
for (const form of /** @type {HTMLFormElement[]} */ (todos('form[data-valores]'))) {
  const livre = /** @type {HTMLInputElement | null} */ (um('[data-valor-livre]', form));
  const outro = /** @type {HTMLInputElement | null} */ (um('[data-valor-outro]', form));
  const rotulo = um('[data-repete-valor]', form);
  const semValor = rotulo ? rotulo.textContent || '' : '';
  const mostra = () => {
    const marcado = /** @type {HTMLInputElement | null} */ (um('input[name="valor"]:checked', form));
    const valor = !marcado || marcado === outro ? centavosDe(livre ? livre.value : '') : Number(marcado.value);
    escreve(rotulo, valor ? `${frases.doar} ${reais(valor)}` : semValor);
  };
  if (livre && outro) {
    livre.addEventListener('input', () => {
      if (livre.value.trim()) outro.checked = true;
      mostra();
    });
    form.addEventListener('change', (evento) => {
      if (evento.target === outro) livre.focus();
      else if (evento.target instanceof HTMLInputElement && evento.target.name === 'valor') livre.value = '';
      mostra();
    });
  }
  mostra();
  addEventListener('pageshow', mostra);
}

/* The same button twice within a second counts once; the server's key guards the rest. */
/** @type {WeakMap<EventTarget, number>} */
let apertados = new WeakMap();
doc.addEventListener('submit', (evento) => {
  const botao = evento.submitter || evento.target;
  if (!botao) return;
  if (evento.timeStamp - (apertados.get(botao) ?? -Infinity) < 1000) evento.preventDefault();
  else apertados.set(botao, evento.timeStamp);
});
addEventListener('pageshow', (evento) => {
  if (evento.persisted) apertados = new WeakMap();
});

/* A refused form: to the summary; its links go into the fields. */
const erros = um('[data-erros]');
if (erros) {
  erros.focus();
  erros.addEventListener('click', (evento) => {
    const link = evento.target instanceof Element ? evento.target.closest('a') : null;
    const campo = link && doc.getElementById(link.hash.slice(1));
    if (!campo) return;
    evento.preventDefault();
    for (let pai = campo.parentElement; pai; pai = pai.parentElement) if (pai instanceof HTMLDetailsElement) pai.open = true;
    (campo.closest('[data-campo]') || campo).scrollIntoView();
    campo.focus({ preventScroll: true });
  });
}

/* "há 5 min" instead of the date, which stays as the title. */
const tempos = /** @type {HTMLTimeElement[]} */ (todos('time[data-relativo]'));
const relativo = new Intl.RelativeTimeFormat(lingua, { style: 'short', numeric: 'auto' });
const contaTempos = () => {
  for (const tempo of tempos) {
    const minutos = Math.floor((Date.now() - Date.parse(tempo.dateTime)) / 60_000);
    if (!(minutos >= 0 && minutos < 10_080)) continue;
    if (!tempo.title) tempo.title = tempo.textContent || '';
    escreve(
      tempo,
      minutos < 1
        ? relativo.format(0, 'second')
        : minutos < 60
          ? relativo.format(-minutos, 'minute')
          : minutos < 1440
            ? relativo.format(-Math.floor(minutos / 60), 'hour')
            : relativo.format(-Math.floor(minutos / 1440), 'day'),
    );
  }
};
if (tempos.length) {
  contaTempos();
  setInterval(() => visivel() && contaTempos(), 60_000);
}

/* The chosen category into sight, where the row scrolls. */
const escolhida = um('.pilulas [aria-current]');
if (escolhida && escolhida.offsetLeft > 0) {
  const fila = escolhida.closest('ul');
  if (fila) fila.scrollLeft = escolhida.offsetLeft - (fila.clientWidth - escolhida.offsetWidth) / 2;
}

/* Totals that move. */
/** @typedef {{arrecadado_centavos: number, declarado_centavos: number, devolvido_centavos: number, doacoes_qtd: number, doadores_qtd: number, seq: number}} Totais */
/** @type {(quadro: HTMLElement) => void} */
const acompanha = (quadro) => {
  const { slug = '' } = quadro.dataset;
  const meta = Number(quadro.dataset.meta || 0);
  const raiz = `/api/v1/campanhas/${encodeURIComponent(slug)}/`;
  const poupa = /** @type {{connection?: {saveData?: boolean}}} */ (navigator).connection?.saveData === true;
  let seq = Number(quadro.dataset.seq || -1);
  /** @type {EventSource | null} */
  let fonte = null;
  /** @type {number | undefined} */
  let proxima;

  /** @type {(totais: Totais) => void} */
  const mostra = (totais) => {
    if (!(totais.seq > seq)) return;
    seq = totais.seq;
    const liquido = Math.max(0, totais.arrecadado_centavos - totais.devolvido_centavos);
    const declarado = Math.min(liquido, totais.declarado_centavos);
    const porcento = meta > 0 ? Math.floor((liquido * 100) / meta) : 0;
    /** @type {Record<string, string>} */
    const textos = {
      liquido: numero(liquido),
      confirmado: numero(liquido - declarado),
      declarado: numero(declarado),
      devolvido: numero(totais.devolvido_centavos),
      porcento: `${porcento}%`,
      doacoes: totais.doacoes_qtd.toLocaleString(lingua),
      doadores: totais.doadores_qtd.toLocaleString(lingua),
    };
    for (const no of todos('[data-total]')) escreve(no, textos[no.dataset.total || ''] ?? no.textContent ?? '');
    const rotulo = `${porcento}% ${frases.daMeta} ${reais(meta)}`;
    for (const barra of todos('[data-barra]', quadro)) {
      const cheio = Math.min(100, (liquido * 100) / meta);
      const firme = liquido > 0 ? cheio * (1 - declarado / liquido) : 0;
      /** @type {(parte: string, atributos: Record<string, number>) => void} */
      const poe = (parte, atributos) => {
        const no = barra.querySelector(`[data-parte="${parte}"]`);
        if (no) for (const [nome, valor] of Object.entries(atributos)) no.setAttribute(nome, `${valor.toFixed(1)}%`);
      };
      poe('feito', { width: cheio });
      poe('declarado', { x: firme, width: cheio - firme });
      poe('semente', { cx: cheio });
      barra.setAttribute('aria-label', rotulo);
    }
    fala(`${frases.total} ${reais(liquido)}${meta > 0 ? `, ${rotulo}` : ''}`);
  };
  const le = async () => {
    try {
      const resposta = await fetch(`${raiz}totais`, { cache: 'no-cache' });
      if (resposta.ok) mostra(await resposta.json());
      return resposta.status !== 404;
    } catch {
      return true;
    }
  };
  const vezEmQuando = () => {
    if (proxima !== undefined) return;
    const adiante = () => {
      proxima = setTimeout(async () => {
        if ((await le()) && proxima !== undefined) adiante();
      }, 15_000 + Math.random() * 15_000);
    };
    adiante();
  };
  const para = () => {
    if (fonte) fonte.close();
    fonte = null;
    clearTimeout(proxima);
    proxima = undefined;
  };
  const comeca = () => {
    if (!visivel() || fonte || proxima !== undefined) return;
    if (poupa || !('EventSource' in window)) {
      le();
      vezEmQuando();
      return;
    }
    const nova = new EventSource(`${raiz}eventos`);
    fonte = nova;
    nova.addEventListener('totais', (evento) => mostra(JSON.parse(evento.data)));
    nova.addEventListener('open', () => {
      clearTimeout(proxima);
      proxima = undefined;
    });
    nova.addEventListener('error', () => {
      if (fonte !== nova) return;
      if (nova.readyState === EventSource.CLOSED) fonte = null;
      vezEmQuando();
    });
  };
  doc.addEventListener('visibilitychange', () => (visivel() ? comeca() : para()));
  addEventListener('pagehide', para);
  addEventListener('pageshow', comeca);
  comeca();
};
for (const quadro of todos('[data-totais]')) acompanha(quadro);

/* The PIX page: asks whether the money came. */
/** @type {(pagina: HTMLElement) => void} */
const esperaPix = (pagina) => {
  const { situacaoUrl = '', obrigadoUrl = '', situacao = '', expira = '' } = pagina.dataset;
  const estado = um('[data-pix-estado]', pagina);
  const relogio = um('[data-contagem]', pagina);
  const fim = Date.parse(expira);
  let etag = '';
  let desde = performance.now();
  let perguntando = false;
  let acabou = false;
  /** @type {number | undefined} */
  let proxima;

  const agenda = (/** @type {number} */ minimo = 0) => {
    clearTimeout(proxima);
    if (acabou || !visivel()) return;
    const passado = performance.now() - desde;
    const pausa = passado < 60_000 ? 4000 : passado < 660_000 ? 10_000 : 60_000;
    proxima = setTimeout(pergunta, Math.max(minimo, pausa));
  };
  /** True where the server answered. */
  const pergunta = async () => {
    if (perguntando || acabou) return true;
    perguntando = true;
    clearTimeout(proxima);
    const desiste = new AbortController();
    const limite = setTimeout(() => desiste.abort(), 10_000);
    let minimo = 0;
    try {
      const resposta = await fetch(situacaoUrl, {
        cache: 'no-store',
        headers: etag ? { 'If-None-Match': etag } : {},
        signal: desiste.signal,
      });
      if (resposta.ok) {
        etag = resposta.headers.get('etag') || '';
        const nova = String((await resposta.json()).situacao);
        if (['confirmada', 'parcialmente_devolvida', 'devolvida'].includes(nova)) {
          acabou = true;
          escreve(estado, frases.chegou);
          location.replace(obrigadoUrl);
        } else if (nova !== situacao) {
          acabou = true;
          location.reload();
        }
        return true;
      }
      minimo = 1000 * Math.min(600, Number(resposta.headers.get('retry-after')) || 0);
      if (resposta.status === 401 || resposta.status === 403 || resposta.status === 404) acabou = true;
      return resposta.status === 304;
    } catch {
      return false;
    } finally {
      clearTimeout(limite);
      perguntando = false;
      agenda(minimo);
    }
  };
  const volta = () => {
    if (!visivel()) {
      clearTimeout(proxima);
      return;
    }
    desde = performance.now();
    pergunta();
  };
  doc.addEventListener('visibilitychange', volta);
  addEventListener('pageshow', (evento) => evento.persisted && volta());
  addEventListener('pagehide', () => clearTimeout(proxima));
  for (const link of /** @type {HTMLAnchorElement[]} */ (todos('a[data-verifica]', pagina))) {
    link.addEventListener('click', async (evento) => {
      evento.preventDefault();
      escreve(estado, frases.vendo);
      if (await pergunta()) {
        if (!acabou) escreve(estado, frases.semPix);
      } else location.assign(link.href);
    });
  }
  agenda();

  if (relogio && fim > 0) {
    const avisos = [300, 60];
    const bate = () => {
      const resta = Math.max(0, Math.ceil((fim - Date.now()) / 1000));
      const horas = Math.floor(resta / 3600);
      const dois = (/** @type {number} */ n) => String(n).padStart(2, '0');
      const hora = `${horas ? `${horas}:` : ''}${dois(Math.floor(resta / 60) % 60)}:${dois(resta % 60)}`;
      escreve(relogio, resta ? frases.resta.replace('#', hora) : frases.acabou);
      for (const aviso of avisos) if (resta === aviso) fala(`${frases.faltam} ${aviso / 60} min`, true);
      if (!resta) {
        clearInterval(ritmo);
        fala(frases.acabou, true);
      }
    };
    const ritmo = setInterval(bate, 1000);
    bate();
  }
};
for (const pagina of todos('[data-pix]')) esperaPix(pagina);
