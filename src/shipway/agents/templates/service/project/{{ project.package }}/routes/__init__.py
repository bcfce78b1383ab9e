"""Operations over HTTP, one module per entity."""
