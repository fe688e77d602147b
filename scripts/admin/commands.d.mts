export const commands: readonly { readonly name: string }[];
