_base_ = './default_runtime.py'
# Pictures of views, embeddings and concepts while it trains, in work_dir/TIMESTAMP/vis_data/vis_image
custom_hooks = [dict(type='EmbeddingVisualizationHook', interval=500, num_images=4)]
