namespace UPool.Deploy.Tests.Manifests;

/// <summary>The fields of kustomization.yaml in use; the reader rejects any other field.</summary>
internal sealed class Kustomization
{
    public string ApiVersion { get; set; } = "";

    public string Kind { get; set; } = "";

    public string Namespace { get; set; } = "";

    public List<string> Resources { get; set; } = [];

    public List<string> Components { get; set; } = [];

    public List<KustomizeGenerator> ConfigMapGenerator { get; set; } = [];

    public List<KustomizeGenerator> SecretGenerator { get; set; } = [];

    public KustomizeOptions? GeneratorOptions { get; set; }

    public List<KustomizeImage> Images { get; set; } = [];

    public List<KustomizePatch> Patches { get; set; } = [];
}

internal sealed class KustomizeGenerator
{
    public string Name { get; set; } = "";

    public string Behavior { get; set; } = "";

    public List<string> Envs { get; set; } = [];

    public List<string> Files { get; set; } = [];

    public List<string> Literals { get; set; } = [];

    public KustomizeOptions? Options { get; set; }
}

internal sealed class KustomizeOptions
{
    public bool DisableNameSuffixHash { get; set; }

    public Dictionary<string, string> Labels { get; set; } = [];
}

internal sealed class KustomizeImage
{
    public string Name { get; set; } = "";

    public string NewName { get; set; } = "";

    public string NewTag { get; set; } = "";
}

internal sealed class KustomizePatch
{
    public string Path { get; set; } = "";

    public string Patch { get; set; } = "";

    public KustomizeTarget? Target { get; set; }
}

internal sealed class KustomizeTarget
{
    public string Kind { get; set; } = "";

    public string Name { get; set; } = "";
}
