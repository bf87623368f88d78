using UPool.Tidy.Tests;
using YamlDotNet.Core;
using YamlDotNet.Serialization;
using YamlDotNet.Serialization.NamingConventions;

namespace UPool.Deploy.Tests.Manifests;

/// <summary>The fields of deploy/compose.yaml in use; the reader rejects any other field.</summary>
internal sealed class Compose
{
    public string Name { get; set; } = "";

    [YamlMember(Alias = "x-settings", ApplyNamingConventions = false)]
    public Dictionary<string, string> Settings { get; set; } = [];

    [YamlMember(Alias = "x-silo", ApplyNamingConventions = false)]
    public ComposeService Silo { get; set; } = new();

    public Dictionary<string, ComposeService> Services { get; set; } = [];

    public Dictionary<string, ComposeNetwork> Networks { get; set; } = [];

    public Dictionary<string, object?> Volumes { get; set; } = [];

    public static Compose Read()
    {
        using var reader = new StringReader(Repository.Text("deploy/compose.yaml", "the services of one machine"));
        return new DeserializerBuilder().WithNamingConvention(UnderscoredNamingConvention.Instance).Build()
            .Deserialize<Compose>(new MergingParser(new Parser(reader)));
    }
}

internal sealed class ComposeService
{
    public string Image { get; set; } = "";

    public ComposeBuild? Build { get; set; }

    public object? DependsOn { get; set; }

    public Dictionary<string, string> Environment { get; set; } = [];

    public List<string> Command { get; set; } = [];

    public List<string> Ports { get; set; } = [];

    public List<string> Volumes { get; set; } = [];

    public string StopGracePeriod { get; set; } = "";

    public Dictionary<string, object>? Healthcheck { get; set; }

    public Dictionary<string, ComposeAddress?> Networks { get; set; } = [];
}

internal sealed class ComposeBuild
{
    public string Context { get; set; } = "";

    public string Dockerfile { get; set; } = "";

    public string Target { get; set; } = "";
}

internal sealed class ComposeAddress
{
    [YamlMember(Alias = "ipv4_address", ApplyNamingConventions = false)]
    public string IPv4Address { get; set; } = "";
}

internal sealed class ComposeNetwork
{
    public Dictionary<string, List<Dictionary<string, string>>> Ipam { get; set; } = [];
}
